"""VGG, as the notebook on batch normalisation has it, is a network of the zoo like any other."""

import keras
import numpy as np
import pytest

from isozoo.models import architecture
from isozoo.models.adapting import adapt
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder
from isozoo.models.variables import named_values, parameter_count
from tests.harness import numpy
from tests.models.conftest import IMAGES, assert_same, network

#: A sixteenth of the width, and all the layers.
SMALL = {"width": 4, "hidden": (6, 5)}


def small(name: str, **options) -> Classifier:
    return network(name, SMALL, **options)


@pytest.mark.parametrize(("name", "count"), [("vgg-13", 9_464_522), ("vgg-bn-13", 9_470_410)])
def test_the_notebooks_networks_have_its_parameters(name, count):
    with keras.StatelessScope(initialize_variables=False):
        model = Classifier(architecture(name, classes=10), input_shape=(32, 32, 3))
    assert parameter_count(model) == count
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == count


def test_the_layers_are_the_notebooks():
    backbone = Backbone(architecture("vgg-bn-13", **SMALL), (32, 32, 3))
    kinds = [type(layer).__name__ for layer in backbone.layers[1:]]
    convolution = ["Conv2D", "BatchNormalization", "ReLU"]
    assert kinds == 5 * [*convolution, *convolution, "MaxPooling2D"]
    filters = [layer.filters for layer in backbone.layers if hasattr(layer, "filters")]
    assert filters == [4, 4, 8, 8, 16, 16, 32, 32, 32, 32]
    assert [tuple(t.shape[1:]) for t in backbone.pyramid_outputs.values()] == [
        (16, 16, 4), (8, 8, 8), (4, 4, 16), (2, 2, 32), (1, 1, 32)
    ]  # fmt: skip
    assert list(backbone.pyramid_outputs) == ["P1", "P2", "P3", "P4", "P5"]
    assert [len(layers) for layers in backbone.stages.values()] == [3, 4, 7, 7, 7, 7]


def test_the_head_has_hidden_layers_that_start_as_glorots():
    keras.utils.set_random_seed(0)
    model = Classifier(architecture("vgg-13", classes=10, width=8))
    shapes = {name: value.shape for name, value in named_values(model).items() if "head" in name}
    assert shapes == {
        "head_hidden1/kernel": (64, 96), "head_hidden1/bias": (96,),
        "head_hidden2/kernel": (96, 96), "head_hidden2/bias": (96,),
        "head_fc/kernel": (96, 10), "head_fc/bias": (10,),
    }  # fmt: skip
    values = named_values(model)
    assert not any(value.any() for name, value in values.items() if name.endswith("bias"))
    assert values["head_hidden2/kernel"].var() == pytest.approx(2 / 192, rel=0.1)


@pytest.mark.parametrize("name", ["vgg-13", "vgg-bn-13"])
def test_a_saved_network_is_loaded_again(name, tmp_path):
    model = small(name)
    model.save_pretrained(tmp_path / "out")
    loaded = load_folder(tmp_path / "out")
    assert loaded.architecture == model.architecture
    assert_same(named_values(loaded), named_values(model))
    np.testing.assert_array_equal(numpy(loaded(IMAGES)), numpy(model(IMAGES)))
    encoder = keras.saving.load_model(tmp_path / "out")
    np.testing.assert_array_equal(numpy(encoder(IMAGES)), numpy(model.backbone(IMAGES)))


def test_another_layout_another_head_and_fused():
    model = small("vgg-bn-13")
    expected = numpy(model(IMAGES))
    assert expected.std(axis=-1).min() > 1e-3
    first = adapt(model, data_format="channels_first")
    found = numpy(first(IMAGES.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    fused = model.fuse()
    assert fused.architecture.normalization == "none"
    np.testing.assert_allclose(numpy(fused(IMAGES)), expected, rtol=1e-4, atol=1e-5)
    other = adapt(model, classes=["a", "b"])
    assert other.output_shape == (None, 2)
    np.testing.assert_array_equal(other.backbone(IMAGES), model.backbone(IMAGES))
