"""The networks against the numbers of their authors' PyTorch code."""

import keras
import numpy as np
import pytest

from isozoo.models import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.variables import parameter_count
from isozoo.regularizers import model_penalty, orthogonality_penalty
from isozoo.zoo.official import load_state_dict
from tests.keyed import Fixture, crc32, keyed_state_dict

#: Our name of each original network.
NAMES = {
    "cifar20_isonet": "isonet-20",
    "cifar20_risonet": "r-isonet-20",
    "fixup_cifar20": "fixup-20",
    "resnet18": "resnet-18",
    "risonet18": "r-isonet-18",
    "isonet18": "isonet-18",
    "risonet50": "r-isonet-50",
}
WITH_STAGES = [name for name in NAMES if name != "fixup_cifar20"]


class Run:
    """An original network's numbers and our network with the same weights."""

    def __init__(self, original: Fixture, name: str):
        self.original, self.facts, self.arrays = original, original.facts, original.arrays
        self.model = load_state_dict(original.state_dict, name)
        self.model.trainable = False
        tensors = {"stem": self.model.backbone.get_layer("stem_relu").output}
        for i, tensor in enumerate(self.model.backbone.pyramid_outputs.values()):
            tensors[f"s{i + 1}"] = tensor
        outputs = keras.Model(self.model.backbone.input, tensors)(original.images)
        self.stages = {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}
        logits = self.model.head(outputs[f"s{i + 1}"])
        self.stages["head"] = keras.ops.convert_to_numpy(logits)

    def kernel(self, module: str):
        layer = self.model.backbone.get_layer(module.replace(".", "_"))
        return layer.kernel, layer.strides[0]


@pytest.fixture(scope="module")
def runs(root):
    made: dict[str, Run] = {}

    def run(name: str) -> Run:
        if name not in made:
            folder = root / "tests" / "golden" / "official"
            made[name] = Run(Fixture(folder, name), NAMES[name])
        return made[name]

    return run


@pytest.mark.parametrize("name", NAMES)
def test_the_rule_draws_the_weights_the_numbers_were_made_with(runs, name):
    run = runs(name)
    assert crc32(run.original.state_dict) == run.facts["weights_crc32"]


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_authors(runs, name):
    run = runs(name)
    np.testing.assert_allclose(run.stages["head"], run.arrays["logits_f64"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_classifier_gives_the_logits_of_its_parts(runs, name):
    run = runs(name)
    logits = keras.ops.convert_to_numpy(run.model(run.original.images, training=False))
    np.testing.assert_allclose(logits, run.stages["head"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_as_the_authors_count_them(runs, name):
    assert parameter_count(runs(name).model) == runs(name).facts["num_parameters"]


@pytest.mark.parametrize("name", WITH_STAGES)
def test_every_stage_has_the_authors_mean_and_deviation(runs, name):
    run = runs(name)
    assert run.facts["stage_names"] == list(run.stages)
    found = [(value.mean(dtype="f8"), value.std(dtype="f8")) for value in run.stages.values()]
    expected = run.arrays["stage_mean_std_f64"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", WITH_STAGES)
def test_every_stage_has_the_authors_values_in_the_authors_places(runs, name):
    run = runs(name)
    for stage, shape in run.facts["stage_shapes_nchw"].items():
        value = run.stages[stage].transpose(0, 3, 1, 2)
        assert list(value.shape) == shape
        flat = value.ravel()
        found = flat[(np.arange(64) * (flat.size - 1)) // 63]
        np.testing.assert_allclose(found, run.arrays[f"slice_{stage}_f64"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", WITH_STAGES)
def test_the_penalty_of_every_convolution_is_the_authors(runs, name):
    run = runs(name)
    found = [
        float(orthogonality_penalty(kernel, strides))
        for kernel, strides in map(run.kernel, run.facts["ortho_conv_names"])
    ]
    np.testing.assert_allclose(found, run.arrays["ortho_per_conv_f64"], rtol=1e-5)
    np.testing.assert_allclose(sum(found), run.facts["ortho_f64"], rtol=1e-5)


@pytest.mark.parametrize("name", WITH_STAGES)
def test_the_penalty_of_the_model_is_the_authors_total(runs, name):
    run = runs(name)
    np.testing.assert_allclose(float(model_penalty(run.model)), run.facts["ortho_f64"], rtol=1e-5)


@pytest.mark.parametrize("name", ["vanilla-8", "vanilla-shortcut-8", "vanilla-bn-8", "resnet-8"])
def test_every_key_scheme_of_the_authors_has_a_place(name):
    """The keys of families without a fixture follow from the layer names; all must be accepted."""
    model = Classifier(architecture(name, classes=3))
    shapes = {}
    for part in (model.backbone, model.head):
        for layer in part.layers:
            for variable in layer.weights:
                shape = list(variable.shape)
                last = {
                    "kernel": "weight",
                    "gamma": "weight",
                    "beta": "bias",
                    "moving_mean": "running_mean",
                    "moving_variance": "running_var",
                }.get(variable.name, variable.name)
                shape = [shape[3], shape[2], *shape[:2]] if len(shape) == 4 else shape[::-1]
                shapes[f"{_module(layer.name)}.{last}"] = shape
    values = keyed_state_dict(shapes)
    loaded = load_state_dict(values, name)
    for key in ("s2.b1.f.a.weight", "stem.conv.weight"):
        kernel = loaded.backbone.get_layer(key.removesuffix(".weight").replace(".", "_")).kernel
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(kernel), values[key].transpose(2, 3, 1, 0)
        )


def _module(layer: str) -> str:
    """Return the module path that a layer name stands for."""
    for name in ("a_bn", "b_bn"):
        if layer.endswith(f"_f_{name}"):
            return layer.removesuffix(f"_{name}").replace("_", ".") + f".{name}"
    return layer.replace("_", ".")
