"""Anchors, offsets, suppression and RoIAlign against their definitions."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from isozoo.detection.anchors import RATIOS, SIZES, anchors
from isozoo.detection.boxes import area, decode, encode
from isozoo.detection.roi_align import levels_of, roi_align
from isozoo.detection.suppression import suppress
from tests.detection import reference


def random_boxes(rng, *shape, extent=64.0):
    corners = rng.uniform(0, extent, (*shape, 2, 2))
    return np.concatenate([corners.min(-2), corners.max(-2)], -1).astype("float32")


# Anchors and offsets


def test_anchors_have_their_area_ratio_and_centre():
    found = anchors({"P2": (3, 5), "P6": (1, 2)})
    assert {level: boxes.shape for level, boxes in found.items()} == {"P2": (45, 4), "P6": (6, 4)}
    for level, step, width in (("P2", 4, 5), ("P6", 64, 2)):
        boxes = found[level].reshape(-1, width, len(RATIOS), 4).astype("float64")
        sides = boxes[..., 2:] - boxes[..., :2]
        np.testing.assert_allclose(sides.prod(-1), SIZES[level] ** 2, rtol=1e-5)
        ratios = np.broadcast_to(RATIOS, sides.shape[:-1])
        np.testing.assert_allclose(sides[..., 1] / sides[..., 0], ratios, rtol=1e-5)
        centres = (boxes[..., 2:] + boxes[..., :2]) / 2
        y, x = np.mgrid[: boxes.shape[0], :width] * float(step)
        expected = np.repeat(np.stack([x, y], -1)[:, :, None], 3, axis=2)
        np.testing.assert_allclose(centres, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "ratios", "message"),
    [
        ({"P2": 32}, RATIOS, "no anchor size for P3; sizes has P2"),
        ({"P3": 0}, RATIOS, r"must be positive, got \[0\]"),
        ({"P3": 8}, [1, -1], r"must be positive, got \[-1\]"),
        ({"P3": 8}, [], "must be positive, got no ratios"),
    ],
)
def test_anchors_without_a_shape_are_refused(sizes, ratios, message):
    with pytest.raises(ValueError, match=message):
        anchors({"P3": (2, 2)}, sizes, ratios)


def test_offsets_are_as_defined_and_come_back():
    rng = np.random.default_rng(0)
    boxes, around = random_boxes(rng, 2, 50), random_boxes(rng, 50)
    for group in (boxes, around):
        group[..., 2:] += 1
    found = ops.convert_to_numpy(encode(boxes, around))
    sides, size = boxes[..., 2:] - boxes[..., :2], around[:, 2:] - around[:, :2]
    moved = ((boxes[..., 2:] + boxes[..., :2]) - (around[:, 2:] + around[:, :2])) / 2
    expected = np.concatenate([moved / size / 0.1, np.log(sides / size) / 0.2], -1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    again = ops.convert_to_numpy(decode(found, around))
    np.testing.assert_allclose(again, boxes, rtol=1e-4, atol=1e-3)


def test_wild_offsets_and_boxes_without_area_stay_finite():
    anchor = np.array([[0, 0, 10, 10]], "float32")
    grown = ops.convert_to_numpy(decode(np.full((1, 4), 1e30, "float32"), anchor))
    assert np.isfinite(grown[0, 2:] - grown[0, :2]).all()
    sides = ops.convert_to_numpy(decode(np.array([[0, 0, 1e30, 90]], "float32"), anchor))[0]
    np.testing.assert_allclose(sides[2:] - sides[:2], 625, rtol=1e-4)
    empty = np.array([[3, 3, 3, 3]], "float32")
    assert np.isfinite(ops.convert_to_numpy(encode(empty, anchor))).all()
    assert np.isfinite(ops.convert_to_numpy(encode(anchor, empty))).all()
    assert ops.convert_to_numpy(area(np.array([[4.0, 4, 2, 9]], "float32"))).tolist() == [0.0]


# Suppression


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 40]), st.sampled_from([1, 9, 45]),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.booleans(),
)  # fmt: skip
def test_what_is_kept_is_what_is_kept_one_after_another(seed, count, outputs, threshold, classed):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 2, count, extent=rng.choice([12.0, 64.0]))
    # Few different scores, so that some are equal.
    scores = rng.integers(0, 8, (2, count)).astype("float32") / 8
    classes = rng.integers(0, 3, (2, count)) if classed else None
    valid = rng.random((2, count)) < 0.8
    kept = suppress(boxes, scores, threshold, outputs, classes, valid)
    indices, there = (ops.convert_to_numpy(value) for value in kept)
    assert indices.shape == there.shape == (2, outputs)
    for n in range(2):
        own = None if classes is None else classes[n]
        expected = reference.suppress(boxes[n], scores[n], threshold, outputs, own, valid[n])
        assert indices[n][there[n]].tolist() == expected
        assert not indices[n][~there[n]].any()


def test_a_chain_of_boxes_is_judged_from_its_best_end():
    # Each overlaps its neighbours only: the second is removed, so the third is kept, and so on.
    left = np.arange(30, dtype="float32") * 4
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], -1)[None]
    kept = suppress(boxes, -left[None], threshold=0.3, outputs=30)
    assert ops.convert_to_numpy(kept.indices[kept.valid]).tolist() == list(range(0, 30, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5, "outputs": 1}, r"threshold must be in \[0, 1\], got 1.5"),
        ({"threshold": 0.5, "outputs": 0}, "outputs must be at least 1, got 0"),
    ],
)
def test_suppression_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        suppress(np.zeros((1, 2, 4), "float32"), np.zeros((1, 2), "float32"), **options)


# RoIAlign

SHAPES = {"P2": (24, 20), "P3": (12, 10), "P4": (6, 5), "P5": (3, 3)}


def pyramid(rng, channels=3):
    return {
        name: rng.standard_normal((2, *shape, channels)).astype("float32")
        for name, shape in SHAPES.items()
    }


def test_boxes_have_the_level_of_their_size():
    rng = np.random.default_rng(3)
    boxes = random_boxes(rng, 1, 200, extent=1500.0)
    expected = [reference.level(box.astype("float64"), 2, 5) for box in boxes[0]]
    assert ops.convert_to_numpy(levels_of(boxes, 2, 5))[0].tolist() == expected
    assert set(expected) == {2, 3, 4, 5}


@pytest.mark.parametrize(("size", "samples"), [(1, 1), (3, 2), (7, 2)])
def test_features_of_boxes_are_those_of_the_definition(size, samples):
    rng = np.random.default_rng(1)
    maps = pyramid(rng)
    boxes = random_boxes(rng, 2, 5, extent=100.0)
    # Beyond each edge, larger than the picture, without area, and far outside.
    boxes = np.concatenate([boxes, [[[-30, -9, 20, 8], [60, 70, 140, 150]]] * 2], 1)
    boxes = np.concatenate([boxes, [[[0, 0, 900, 900], [5, 5, 5, 5], [500, 500, 520, 520]]] * 2], 1)
    found = ops.convert_to_numpy(roi_align(maps, boxes.astype("float32"), size, samples))
    for n in range(2):
        for box, features in zip(boxes[n], found[n], strict=True):
            number = reference.level(box, 2, 5)
            own = maps[f"P{number}"][n].astype("float64")
            expected = reference.roi_align(own, box, 2**number, size, samples)
            np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert not found[:, -1].any()


def test_a_constant_map_stays_constant_and_a_slope_is_read_where_it_is():
    y, x = np.mgrid[:16, :16].astype("float32") + 0.5
    maps = {"P2": np.stack([np.ones_like(x), 4 * x, 4 * y], -1)[None]}
    box = np.array([[[8, 12, 40, 28]]], "float32")
    found = ops.convert_to_numpy(roi_align(maps, box, 4))[0, 0]
    np.testing.assert_allclose(found[..., 0], 1, rtol=1e-6)
    np.testing.assert_allclose(found[0, :, 1], [12, 20, 28, 36], rtol=1e-5)
    np.testing.assert_allclose(found[:, 0, 2], [14, 18, 22, 26], rtol=1e-5)


def test_maps_get_the_gradients_that_differences_give():
    rng = np.random.default_rng(2)
    size, weight = 2, rng.standard_normal((1, 3, 2, 2, 1)).astype("float32")
    boxes = random_boxes(rng, 1, 3, extent=90.0)

    class Cut(keras.layers.Layer):
        """The weighted sum of what is cut out of maps that are trained."""

        def build(self, input_shape):
            """Make the maps."""
            self.maps = {
                name: self.add_weight(shape=(1, *shape, 1), initializer="zeros", name=name)
                for name, shape in SHAPES.items()
            }
            super().build(input_shape)

        def call(self, inputs):
            """Return the sum, whatever the input."""
            total = ops.sum(ops.multiply(roi_align(self.maps, boxes, size), weight))
            return ops.reshape(total, (1, 1)) + 0 * inputs

    # One step of gradient descent of rate 1 from zero: minus the gradient. The maps enter
    # linearly, so the sum at any maps is their product with the gradient.
    model = keras.Sequential([keras.Input((1,)), Cut()])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, found: ops.sum(found))
    model.fit(np.zeros((1, 1), "float32"), np.zeros((1, 1), "float32"), verbose=0)
    gradients = {v.name: -ops.convert_to_numpy(v) for v in model.trainable_variables}
    maps = {name: rng.standard_normal(g.shape).astype("float32") for name, g in gradients.items()}
    expected = sum(float((maps[name] * g).sum()) for name, g in gradients.items())
    found = float(ops.sum(ops.multiply(roi_align(maps, boxes, size), weight)))
    assert found == pytest.approx(expected, rel=1e-4)
    assert any(g.any() for g in gradients.values())


@pytest.mark.parametrize(
    ("maps", "options"),
    [({}, {"size": 2}), (SHAPES, {"size": 0}), (SHAPES, {"size": 1, "samples": 0})],
)
def test_what_cannot_be_cut_is_refused(maps, options):
    maps = {name: np.zeros((1, *shape, 1), "float32") for name, shape in maps.items()}
    with pytest.raises(ValueError, match="needs a map and at least one cell and sample"):
        roi_align(maps, np.zeros((1, 1, 4), "float32"), **options)
