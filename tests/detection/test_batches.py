"""Pictures scaled, filled up, mirrored and put into batches; drawn shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.data.preprocessing import IMAGENET
from isozoo.detection.batches import DetectionBatches, mirrored
from isozoo.detection.samples import Annotations
from isozoo.detection.scaling import Scaling, filled
from isozoo.detection.shapes import DrawnShapes


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_every_picture_fits_into_its_shape(height, width):
    scaling = Scaling(300, 500, square=False)
    factor = scaling.factor(height, width)
    sides = sorted([max(1, round(height * factor)), max(1, round(width * factor))])
    assert sides[0] == 300 or sides[1] == 500 or max(height, width) > 500 * min(height, width)
    assert sides[0] <= 300
    assert sides[1] <= 500
    assert all(side % 32 == 0 for side in scaling.shape(height, width))
    assert scaling.shape(height, width) == ((512, 320) if height > width else (320, 512))
    assert Scaling(300, 500).shape(height, width) == (512, 512)


@pytest.mark.parametrize("options", [{"short": 0}, {"short": 9, "long": 8}])
def test_impossible_scalings_are_refused(options):
    with pytest.raises(ValueError, match="needs 1 <= short <= long, got short="):
        Scaling(**options)


def test_an_image_that_is_too_large_is_not_cut():
    with pytest.raises(ValueError, match=r"\(4, 5\) does not fit into \(4, 4\)"):
        filled(np.zeros((4, 5, 3)), (4, 4))


def test_what_is_mirrored_twice_is_what_it_was():
    shapes = DrawnShapes(1)
    pixels, (boxes, _, masks) = shapes.image(0), shapes.objects(0)
    once = mirrored(pixels, boxes, masks)
    for before, after in zip((pixels, boxes, masks), mirrored(*once), strict=True):
        np.testing.assert_array_equal(before, after)
    assert (once[1] != boxes).any()


class Mixed:
    """Wide and high pictures, whose pixels say which they are."""

    sizes = ((20, 30), (30, 20), (20, 40), (25, 25), (50, 20))

    def __len__(self):
        return 5

    def size(self, index):
        return self.sizes[index]

    def image(self, index):
        return np.full((*self.sizes[index], 3), 50 * index, np.uint8)

    def objects(self, index):
        boxes = np.array([[0, 0, 10, 20]] * index, np.float32).reshape(-1, 4)
        return Annotations(boxes, np.arange(index), np.ones((index, 56, 56), np.uint8))


def batches(**options):
    settings = {"batch_size": 2, "most": 3, "seed": 0} | options
    return DetectionBatches(Mixed(), IMAGENET, Scaling(32, 64, square=False), **settings)


def test_a_batch_has_pictures_of_one_shape_and_their_objects():
    data = batches()
    assert len(data) == 2
    seen = set()
    for step in range(2):
        (rows,) = data[step]
        for image, sides, boxes, valid in zip(
            rows["images"], rows["sides"], rows["boxes"], rows["valid"], strict=True
        ):
            index = round(float((image[0, 0, 0] * IMAGENET.std[0] + IMAGENET.mean[0]) * 255 / 50))
            seen.add(index)
            height, width = Mixed.sizes[index]
            factor = Scaling(32, 64).factor(height, width)
            assert sides.tolist() == [round(height * factor), round(width * factor)]
            assert valid.sum() == min(index, 3)
            assert not image[int(sides[0]) :].any()
            assert not image[:, int(sides[1]) :].any()
            extents = boxes[valid][:, 2:] - boxes[valid][:, :2]
            ratios = sides[::-1] / [width, height]
            np.testing.assert_allclose(extents, [[10, 20] * ratios] * len(extents), rtol=1e-5)
            assert not boxes[~valid].any()
    assert len(seen) == 4


def test_batches_are_the_same_for_the_same_seed_epoch_and_step():
    data = batches()
    data.on_epoch_end()
    again = batches(start=1)
    for name, value in data[1][0].items():
        np.testing.assert_array_equal(value, again[1][0][name])
    orders = {tuple(map(tuple, batches(start=n)._order)) for n in range(8)}
    assert len(orders) > 3


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match="batch_size and most must be at least 1, got 0 and 3"):
        batches(batch_size=0)
    with pytest.raises(ValueError, match="5 pictures make no batch of 4 of one shape"):
        batches(batch_size=4)


def test_shapes_are_where_they_are_said_to_be():
    shapes = DrawnShapes(20, seed=3)
    labels = set()
    for index in range(20):
        pixels = shapes.image(index).astype(float)
        np.testing.assert_array_equal(pixels, shapes.image(index))
        boxes, own, masks = shapes.objects(index)
        labels |= {*own.tolist()}
        assert 1 <= len(boxes) <= 4
        assert ((boxes >= 0) & (boxes <= 128)).all()
        covered = np.zeros((128, 128), bool)
        for left, top, right, bottom in boxes.astype(int):
            covered[top:bottom, left:right] = True
        ground = pixels[~covered].mean(0)
        for (left, top, right, bottom), mask in zip(boxes.astype(int), masks, strict=True):
            middle = pixels[(top + bottom) // 2, (left + right) // 2]
            assert mask[28, 28]
            assert np.abs(middle - ground).max() > 15
    assert labels == {0, 1, 2}


def test_shapes_that_are_not_there_are_told():
    with pytest.raises(IndexError, match="there are 2 pictures, asked for number 2"):
        DrawnShapes(2).image(2)
    with pytest.raises(ValueError, match="got count=0, most=4, side=128"):
        DrawnShapes(0)
