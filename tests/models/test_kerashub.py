"""KerasHub takes the encoder of a weights folder as its own, as docs/publishing.md says."""

import keras
import numpy as np
import pytest

import isozoo
from isozoo.models.folder import write_folder
from isozoo.models.variables import named_variables

pytestmark = pytest.mark.kerashub

keras_hub = pytest.importorskip("keras_hub", reason="needs the extra `detection`")

IMAGES = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    model = isozoo.create("r-isonet-18-w32", classes=3)
    random = np.random.default_rng(1)
    for variable in named_variables(model).values():
        variable.assign(0.1 * random.standard_normal(variable.shape))
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "r-isonet-18-w32.pets"
    write_folder(model, path, tag="pets")
    return path


def assert_same_weights(found, expected):
    for one, other in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def retinanet(encoder):
    return keras_hub.models.RetinaNetBackbone(
        image_encoder=encoder, min_level=3, max_level=5, use_p5=False
    )


def test_the_encoder_of_a_folder_is_the_image_encoder_of_a_retinanet(folder, model):
    encoder = keras.saving.load_model(folder)
    maps = retinanet(encoder)(IMAGES)
    assert {level: tuple(map.shape) for level, map in maps.items()} == {
        "P3": (2, 8, 8, 256),
        "P4": (2, 4, 4, 256),
        "P5": (2, 2, 2, 256),
    }
    for features in maps.values():
        assert np.isfinite(features).all()
    assert_same_weights(encoder, model.backbone)


def test_a_retinanet_with_the_encoder_is_saved_and_loaded(folder, tmp_path):
    network = retinanet(keras.saving.load_model(folder))
    network.save_to_preset(tmp_path / "preset")
    again = keras_hub.models.RetinaNetBackbone.from_preset(str(tmp_path / "preset"))
    assert isinstance(again.image_encoder, isozoo.Backbone)
    expected, found = network(IMAGES), again(IMAGES)
    for level, features in expected.items():
        np.testing.assert_array_equal(found[level], features)


def test_a_detector_predicts_and_freezing_its_encoder_freezes_only_that(folder, model):
    encoder = isozoo.load_backbone(folder, input_shape=(64, 64, 3))
    encoder.trainable = False
    detector = keras_hub.models.RetinaNetObjectDetector(
        backbone=retinanet(encoder), num_classes=4, bounding_box_format="yxyx"
    )
    assert detector.predict(IMAGES, verbose=0)["boxes"].shape[0] == 2
    frozen = {id(variable) for variable in detector.non_trainable_variables}
    assert {id(variable) for variable in encoder.variables} <= frozen
    assert detector.trainable_variables
    assert_same_weights(encoder, model.backbone)


def test_a_folder_is_a_preset_of_an_image_classifier_with_a_new_head(folder, model):
    classifier = keras_hub.models.ImageClassifier.from_preset(str(folder), num_classes=5)
    assert isinstance(classifier.backbone, isozoo.Backbone)
    assert_same_weights(classifier.backbone, model.backbone)
    logits = classifier(IMAGES)
    assert logits.shape == (2, 5)
    assert np.isfinite(logits).all()
