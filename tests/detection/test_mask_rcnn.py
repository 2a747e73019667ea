"""Mask R-CNN: what it returns, what it learns from, and that it learns."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import isozoo
from isozoo.detection.batches import DetectionBatches
from isozoo.detection.detecting import detections
from isozoo.detection.evaluation import average_precision
from isozoo.detection.mask_rcnn import LOSSES, MaskRCNN
from isozoo.detection.scaling import Scaling
from isozoo.detection.settings import DetectionSettings, Overlap
from isozoo.detection.shapes import DrawnShapes
from isozoo.errors import WeightsError

SMALL = DetectionSettings(
    channels=16, box_units=32, 
    anchor_sizes=(("P2", 12), ("P3", 24), ("P4", 40), ("P5", 64), ("P6", 99)),
    proposals=50, candidates=200, candidates_detecting=100, proposal_batch=64, box_batch=32,
    detections=10, mask_convolutions=1,
)  # fmt: skip


def squares(count, seed=0, side=64, most=2):
    """Pictures of bright squares (class 0) and dark discs (class 1) on grey."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.1, (count, side, side, 3)).astype("float32")
    boxes = np.zeros((count, most, 4), "float32")
    labels = np.zeros((count, most), "int32")
    masks = np.zeros((count, most, 28, 28), "uint8")
    valid = np.zeros((count, most), bool)
    y, x = np.mgrid[:28, :28]
    disc = (y - 13.5) ** 2 + (x - 13.5) ** 2 <= 14**2
    for n in range(count):
        for k in range(most):
            size = int(rng.integers(16, 28))
            left, top = (
                k * side // 2 + rng.integers(0, side // 2 - size + 1),
                rng.integers(0, side - size),
            )
            label = int(rng.integers(0, 2))
            rows, columns = np.mgrid[:size, :size]
            inside = np.ones((size, size), bool)
            if label:
                middle = (size - 1) / 2
                inside = (rows - middle) ** 2 + (columns - middle) ** 2 <= (size / 2) ** 2
            images[n, top : top + size, left : left + size][inside] = 1.5 if not label else -1.5
            boxes[n, k] = left, top, left + size, top + size
            labels[n, k], masks[n, k], valid[n, k] = label, disc if label else 1, True
    sides = np.full((count, 2), side, "float32")
    return {
        "images": images,
        "sides": sides,
        "boxes": boxes,
        "labels": labels,
        "masks": masks,
        "valid": valid,
    }


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return MaskRCNN(isozoo.create("resnet-18-w32").backbone, 2, SMALL)


def test_what_is_found_has_known_shapes_and_lies_in_the_picture(model):
    images = squares(2)["images"]
    found = model({"images": images, "sides": np.array([[64, 64], [40, 50]])})
    found = {name: ops.convert_to_numpy(value) for name, value in found.items()}
    shapes = {name: value.shape for name, value in found.items()}
    assert shapes == {
        "boxes": (2, 10, 4), "labels": (2, 10), "scores": (2, 10), "valid": (2, 10),
        "masks": (2, 10, 28, 28),
    }  # fmt: skip
    assert (found["boxes"] >= 0).all()
    assert (found["boxes"][1] <= [50, 40, 50, 40]).all()
    assert all(np.isfinite(value).all() for value in found.values())
    assert ((found["masks"] >= 0) & (found["masks"] <= 1)).all()
    assert set(np.unique(found["labels"])) <= {0, 1}
    assert (np.diff(found["scores"]) <= 0).all()


def test_pictures_without_objects_and_strange_boxes_have_finite_losses(model):
    data = squares(2)
    data["valid"][0] = False
    data["boxes"][1, 0] = [5, 5, 5, 5]
    data["boxes"][1, 1] = [-500, 3, 4000, 3.01]
    losses = {name: float(value) for name, value in model(data, training=True).items()}
    assert tuple(losses) == LOSSES
    assert all(np.isfinite(value) for value in losses.values())
    data["valid"][:] = False
    losses = {name: float(value) for name, value in model(data, training=True).items()}
    assert losses["proposal_offsets"] == losses["box_offsets"] == losses["masks"] == 0
    assert losses["classes"] > 0 < losses["objectness"]


@pytest.mark.parametrize("side", [None, 48])
def test_images_of_other_sides_are_refused(model, side):
    with pytest.raises(ValueError, match=f"multiples of 32 .* got height {side} and width 64"):
        model._sides(keras.KerasTensor((None, side, 64, 3)))


def test_a_backbone_without_the_stages_is_refused():
    with pytest.raises(ValueError, match="stages of strides 4, 8, 16 and 32, found P0, P1, P2"):
        MaskRCNN(isozoo.create("r-isonet-8").backbone, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detections": 0}, "detections must be at least 1, got 0"),
        ({"mask_convolutions": -1}, "mask_convolutions must be at least 0, got -1"),
        ({"least_score": 5}, r"least_score must be in \[0, 1\], got 5"),
        ({"suppression": 1.5}, r"suppression must be in \[0, 1\], got 1.5"),
        ({"box_overlap": (0.6, 0.4)}, r"box_overlap must be 0 <= low <= high <= 1"),
        ({"boxes": 3}, "no such setting: boxes; there are channels"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DetectionSettings.from_dict(settings)


def test_settings_survive_as_json():
    settings = dataclasses.replace(SMALL, box_overlap=Overlap(0.4, 0.6))
    assert (
        DetectionSettings.from_dict(json.loads(json.dumps(dataclasses.asdict(settings))))
        == settings
    )


@pytest.mark.parametrize("training", [False, True])
def test_weights_that_are_no_numbers_are_noticed(training):
    broken = MaskRCNN(isozoo.create("resnet-18-w32").backbone, 2, SMALL)
    kernel = broken.pyramid.get_layer("lateral_P5").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    answer = broken(squares(1), training=training)
    if training:
        assert not np.isfinite(float(answer["classes"]))
    else:
        assert np.isnan(ops.convert_to_numpy(answer["scores"])).all()


def test_boxes_keep_their_precision_where_images_lose_it():
    model = MaskRCNN(isozoo.create("r-isonet-18-w32", dtype="mixed_bfloat16").backbone, 2, SMALL)
    assert model.pyramid.output["P6"].dtype == "bfloat16"
    data = squares(1)
    data["boxes"] += np.float32(0.013)
    losses = model(data, training=True)
    assert all(np.isfinite(float(value)) for value in losses.values())
    # Sides that bfloat16 would round to 38.
    found = model({"images": data["images"], "sides": np.array([[37.9, 37.9]], "float32")})
    assert ops.convert_to_numpy(found["boxes"]).max() <= np.float32(37.9)


def test_a_validation_has_no_losses(model):
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"measure it with isozoo\.detection\.evaluation"):
        model.evaluate(squares(1), verbose=0)


def test_channels_have_to_be_as_many_as_are_prepared():
    backbone = isozoo.create("r-isonet-18-w32", in_channels=1).backbone
    with pytest.raises(ValueError, match="images of 3 channels, the backbone takes 1"):
        MaskRCNN(backbone, 2)


@pytest.mark.slow
def test_it_is_fitted_to_pictures_of_all_shapes_and_finds_what_it_was_shown(tmp_path):
    pytest.importorskip("pycocotools", reason="needs the extra `detection`")
    keras.utils.set_random_seed(0)
    shapes = DrawnShapes(8, side=64, most=2)
    scaling = Scaling(64, 64)
    backbone = isozoo.create("resnet-18-w32").backbone
    model = MaskRCNN(backbone, shapes.classes, SMALL, scaling=scaling)
    data = DetectionBatches(shapes, model.preprocessing, scaling, batch_size=4, most=4)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(data, epochs=60, verbose=0)
    # Batch normalisation's running statistics follow slowly.
    pictures = [shapes.image(index) for index in range(len(shapes))]
    found = average_precision(shapes, detections(model, pictures), model.labels)
    assert (found["box"]["AP50"] or 0.0) > 0.5
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    for one, other in zip(detections(model, pictures), detections(again, pictures), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_pictures_of_any_size_are_looked_at_in_their_own_pixels():
    keras.utils.set_random_seed(1)
    model = MaskRCNN(
        isozoo.create("resnet-18-w32").backbone, ["square", "disc"], SMALL,
        scaling=Scaling(64, 96),
    )  # fmt: skip
    grey = Image.new("L", (300, 200), 90)
    (found,), (wide, high) = model.detect(grey), model.detect([grey, grey.rotate(90, expand=True)])
    assert len(found) == len(wide) > 0
    for one, other in zip(found, wide, strict=True):
        assert one.box == other.box
        assert one.label in ("square", "disc")
        assert one.mask.shape == (200, 300)
        left, top, right, bottom = one.box
        assert 0 <= left < right <= 300.01
        assert 0 <= top < bottom <= 200.01
    assert all(one.mask.shape == (300, 200) for one in high)


def test_a_network_that_is_broken_finds_nothing_silently(model):
    broken = MaskRCNN(isozoo.create("resnet-18-w32").backbone, 2, SMALL, scaling=Scaling(32, 32))
    broken.mask_head.get_layer("mask_logits").bias.assign([np.nan, np.nan])
    with pytest.raises(WeightsError, match="answer is not finite, so no object can be told"):
        broken.detect(Image.new("RGB", (40, 40)))


def test_a_configuration_builds_the_same_network(model):
    again = MaskRCNN.from_config(model.get_config())
    assert again.labels == model.labels == ("0", "1")
    assert (again.settings, again.scaling) == (model.settings, model.scaling)
    shapes = [[weight.shape for weight in one.weights] for one in (again, model)]
    assert shapes[0] == shapes[1]
