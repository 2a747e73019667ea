"""Boxes matched with objects and drawn to learn from."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from isozoo.detection.matching import match, sample
from tests.detection import reference
from tests.detection.test_geometry import random_boxes


@pytest.mark.parametrize("best_of_each", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_boxes_are_matched_as_defined(best_of_each, batched):
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 3, 60)
    objects = random_boxes(rng, 3, 5)
    # A tie for the best box of an object, an object without an area, an image without objects.
    boxes[0, :2] = objects[0, 0] + [0, 0, 9, 0]
    objects[1, 2, 2:] = objects[1, 2, :2]
    valid = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)
    given_boxes = boxes if batched else boxes[0]
    found = match(given_boxes, objects, valid, 0.3, 0.5, best_of_each)
    for n in range(3):
        own = boxes[n] if batched else boxes[0]
        indices, labels = reference.match(own, objects[n], valid[n], 0.3, 0.5, best_of_each)
        assert ops.convert_to_numpy(found.labels[n]).tolist() == labels.tolist()
        matched = labels == 1
        numbers = ops.convert_to_numpy(found.objects[n])
        assert numbers[matched].tolist() == indices[matched].tolist()
    assert not ops.convert_to_numpy(found.labels[2]).any()


def test_overlaps_out_of_order_are_refused():
    with pytest.raises(ValueError, match=r"0 <= low <= high <= 1, got low=0.7, high=0.3"):
        match(np.zeros((1, 4)), np.zeros((1, 1, 4)), np.ones((1, 1), bool), 0.7, 0.3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 8, 30]), st.sampled_from([0.0, 0.25, 1.0]))
def test_a_draw_has_as_many_of_each_kind_as_there_are_and_may_be(seed, count, positives):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([0.5, 0.5, 0.5], 3)
    labels = np.stack([rng.choice([-1, 0, 1], 30, p=share) for share in shares]).astype("int32")
    drawn = (ops.convert_to_numpy(v) for v in sample(labels, count, positives, seed % 1000))
    for own, indices, positive, valid in zip(labels, *drawn, strict=True):
        of_object = min((own == 1).sum(), int(count * positives))
        of_background = min((own == 0).sum(), count - of_object)
        assert (positive.sum(), valid.sum()) == (of_object, of_object + of_background)
        assert (own[indices[positive]] == 1).all()
        assert (own[indices[valid & ~positive]] == 0).all()
        assert len({*indices[valid].tolist()}) == valid.sum()


def test_each_box_is_drawn_as_often_as_another():
    labels = np.array([[1] * 4 + [0] * 6 + [-1] * 2], "int32")
    seed = keras.random.SeedGenerator(0)
    times = np.zeros(12)
    for _ in range(300):
        drawn = sample(labels, 5, 0.4, seed)
        times[ops.convert_to_numpy(drawn.indices)[0]] += 1
    assert not times[10:].any()
    # Two of four, three of six: 150 times, with a deviation of 8.7.
    assert np.abs(times[:10] - 150).max() < 45


@pytest.mark.parametrize(
    ("count", "positives", "message"),
    [
        (0, 0.5, r"count must be in \[1, 4\], got 0"),
        (5, 0.5, r"count must be in \[1, 4\], got 5"),
        (2, 1.5, r"positives must be in \[0, 1\], got 1.5"),
    ],
)
def test_impossible_draws_are_refused(count, positives, message):
    with pytest.raises(ValueError, match=message):
        sample(np.zeros((1, 4), "int32"), count, positives, seed=0)
