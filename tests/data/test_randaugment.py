import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from isozoo.data import IMAGENET, Augment
from isozoo.data.randaugment import OPERATIONS, rand_augment

WITHOUT_STRENGTH = ("auto-contrast", "equalize")
WITH_DIRECTION = (
    "rotate",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear-x",
    "shear-y",
    "translate-x",
    "translate-y",
)


def picture(photograph) -> Image.Image:
    return Image.fromarray(photograph(40, 40))


def test_the_operations_are_those_of_the_paper():
    assert len(OPERATIONS) == 14


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - set(WITHOUT_STRENGTH)))
def test_nothing_changes_without_strength(photograph, name):
    before = picture(photograph)
    np.testing.assert_array_equal(OPERATIONS[name](before, 0.0), before)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"identity", *WITHOUT_STRENGTH}))
def test_strength_changes_a_picture_and_a_direction_is_heeded(photograph, name):
    before = picture(photograph)
    one, other = (np.asarray(OPERATIONS[name](before, sign * 0.9)) for sign in (1, -1))
    assert one.shape == (40, 40, 3)
    assert one.dtype == np.uint8
    assert (one != np.asarray(before)).any()
    assert (one != other).any() == (name in WITH_DIRECTION)


def test_operations_are_what_their_names_say(photograph):
    before = picture(photograph)
    pixels = np.asarray(before)
    np.testing.assert_array_equal(OPERATIONS["posterize"](before, 1.0), pixels & 0b11110000)
    np.testing.assert_array_equal(OPERATIONS["solarize"](before, 1.0), 255 - pixels)
    half = np.where(pixels >= 128, 255 - pixels, pixels)
    np.testing.assert_array_equal(OPERATIONS["solarize"](before, -0.5), half)
    np.testing.assert_array_equal(OPERATIONS["equalize"](before, 0.3), ImageOps.equalize(before))
    moved = np.asarray(OPERATIONS["translate-x"](before, 1.0))
    np.testing.assert_array_equal(moved[:, :22], pixels[:, 18:])
    assert (moved[:, 22:] == 128).all()
    darker = np.asarray(OPERATIONS["brightness"](before, -1.0))
    assert darker.max() <= np.ceil(0.1 * pixels.max())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(operations=st.integers(1, 4), magnitude=st.floats(0, 10), seed=st.integers(0, 2**32))
def test_a_picture_is_a_function_of_its_generators_seed(operations, magnitude, seed):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    before = pixels.copy()
    one, other = (
        rand_augment(pixels, operations, magnitude, np.random.default_rng(seed)) for _ in range(2)
    )
    assert one.shape == pixels.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(pixels, before)


def test_all_operations_are_drawn(monkeypatch):
    drawn = []
    names = list(OPERATIONS)

    def noting(name):
        return lambda picture, strength: drawn.append((name, strength)) or picture

    monkeypatch.setattr("isozoo.data.randaugment._ALL", [noting(name) for name in names])
    rand_augment(np.zeros((2, 2, 3), np.uint8), 1400, 5.0, np.random.default_rng(0))
    counts = [sum(name == other for other, _ in drawn) for name in names]
    assert min(counts) > 60
    assert max(counts) < 140
    assert {strength for _, strength in drawn} == {0.5, -0.5}


def test_crop_and_mirror_are_the_same_with_and_without(photograph):
    pixels = photograph(50, 60)

    def view(seed: int, **settings) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return Augment(size=24, **settings)(pixels, rng, IMAGENET.resize_picture)

    same = [(view(i) == view(i, randaugment=1, magnitude=0.0)).all() for i in range(40)]
    # All but auto-contrast and equalisation leave a picture as it is at magnitude 0.
    assert 28 <= sum(same) < 40
