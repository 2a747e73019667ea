import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isozoo.data import IMAGENET, Augment
from isozoo.data.augment import erased, random_box
from isozoo.errors import DataError

FRAME = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}
resize = IMAGENET.resize_picture


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=200, deadline=None)
@given(height=st.integers(1, 600), width=st.integers(1, 600), seed=st.integers(0, 2**32))
def test_boxes_lie_inside_the_picture(height, width, seed):
    top, left, tall, wide = random_box(height, width, **FRAME, rng=rng(seed))
    assert 0 <= top <= top + tall <= height
    assert 0 <= left <= left + wide <= width
    assert tall > 0
    assert wide > 0


def test_areas_are_uniform_and_aspects_log_uniform_where_every_box_fits():
    source = rng()
    boxes = np.array(
        [random_box(1000, 1000, (0.1, 0.5), (0.5, 2.0), source) for _ in range(4000)], float
    )
    areas = boxes[:, 2] * boxes[:, 3] / 1e6
    aspects = np.log2(boxes[:, 3] / boxes[:, 2])
    for values, low, high in ((areas, 0.1, 0.5), (aspects, -1.0, 1.0)):
        steps = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])
        np.testing.assert_allclose(
            steps, np.linspace(low, high, 5), atol=0.03 * (high - low), rtol=0
        )


@pytest.mark.parametrize(
    ("height", "width", "scale", "box"),
    [
        # Too narrow and too wide for any allowed aspect: the largest central box of the nearest.
        (100, 10, 1.0, (43, 0, 13, 10)),
        (10, 100, 1.0, (0, 43, 10, 13)),
        # The aspect is allowed but no box of this area fits: the whole picture.
        (30, 33, 1.2, (0, 0, 30, 33)),
    ],
)
def test_what_is_taken_when_no_box_fits(height, width, scale, box):
    class Unlucky:
        def uniform(self, low, high):
            return high

    assert random_box(height, width, (1.0, scale), FRAME["ratio"], Unlucky()) == box


def test_a_view_is_the_resized_box(photograph):
    pixels = photograph(50, 70)
    view = Augment(size=24, flip=False)(pixels, rng(5), resize)
    top, left, height, width = random_box(50, 70, **FRAME, rng=rng(5))
    box = Image.fromarray(pixels[top : top + height, left : left + width])
    np.testing.assert_array_equal(view, resize(box, (24, 24)))


def test_half_of_the_views_are_mirrored():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 0] = 255
    augment = Augment(size=8, scale=(1, 1), ratio=(1, 1))
    source = rng()
    views = [augment(pixels, source, resize) for _ in range(400)]
    mirrored = [view[0, -1, 0] == 255 for view in views]
    assert all(view[0, 0, 0] != view[0, -1, 0] for view in views)
    assert 160 < sum(mirrored) < 240
    still = Augment(size=8, scale=(1, 1), ratio=(1, 1), flip=False)
    assert all(still(pixels, source, resize)[0, 0, 0] == 255 for _ in range(40))


def test_a_framed_crop_is_a_window_on_the_picture_in_a_black_frame(noise):
    pixels = noise(12, 12, 3) | 1  # nowhere black
    framed = np.pad(pixels, ((4, 4), (4, 4), (0, 0)))
    augment = Augment(size=12, crop_padding=4, flip=False)
    source = rng()
    places = set()
    for _ in range(600):
        view = augment(pixels, source, resize)
        found = [
            (y, x)
            for y in range(9)
            for x in range(9)
            if (framed[y : y + 12, x : x + 12] == view).all()
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 81


def test_a_framed_crop_larger_than_the_picture_is_refused(noise):
    with pytest.raises(DataError, match="10x12 pixels framed by 2 is smaller than the 16x16 crop"):
        Augment(size=16, crop_padding=2)(noise(10, 12, 3), rng(), resize)


def test_a_box_of_noise_is_erased_by_its_probability():
    pixels = np.zeros((32, 32, 3), np.uint8)
    augment, source = Augment(size=32, erasing=0.3), rng()
    parts = []
    for _ in range(400):
        hit = augment(pixels, source, resize).any(axis=-1)
        if hit.any():
            rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert 0.015 < height * width / 32**2 < 0.45
            assert 0.25 < width / height < 4
            parts.append(hit.sum() / (height * width))
    assert 90 < len(parts) < 150
    assert min(parts) > 0.98  # noise is black once in 2**24 pixels


def test_erasing_leaves_the_picture_it_was_given_alone(noise):
    pixels = noise(16, 16, 3)
    before = pixels.copy()
    view = erased(pixels, rng())
    np.testing.assert_array_equal(pixels, before)
    assert (view != pixels).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be a positive integer"),
        ({"size": 8, "scale": (0, 1)}, "scale must be two rising parts"),
        ({"size": 8, "scale": (0.5, 1.5)}, "scale must be two rising parts"),
        ({"size": 8, "ratio": (2, 1)}, "ratio must be two rising positive"),
        ({"size": 8, "mixup": -1}, "mixup must be 0 or a positive"),
        ({"size": 8, "mixup": float("nan")}, "mixup must be 0 or a positive"),
        ({"size": 8, "cutmix": -1}, "cutmix must be 0 or a positive"),
        ({"size": 8, "randaugment": -1}, "randaugment must be 0 or a positive"),
        ({"size": 8, "magnitude": 10.5}, r"magnitude must be in \[0, 10\], not 10\.5"),
        ({"size": 8, "erasing": float("nan")}, r"erasing must be a probability in \[0, 1\]"),
        ({"size": 8, "crop_padding": -1}, "crop_padding must not be negative"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Augment(**settings)
