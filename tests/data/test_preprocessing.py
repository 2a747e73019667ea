import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isozoo.data import IMAGENET, Preprocessing, open_image
from isozoo.errors import ImageError, UnknownNameError

PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1)}
"""With these the output is the pixels / 255."""

KERNELS = [("bilinear", True), ("bilinear", False), ("bicubic", True), ("lanczos", True)]
# The agreement of the two paths that Preprocessing's docstring promises, in levels of 255.
MOST, MEAN, MEAN_OF_PHOTOGRAPHS = 2.0, 0.1, 0.02

lengths = st.integers(1, 600)


def levels(preprocessing: Preprocessing, pixels: np.ndarray) -> np.ndarray:
    """The difference of the Pillow and the TensorFlow path, in 8-bit levels."""
    difference = preprocessing(pixels) - preprocessing.tf(tf.constant(pixels)).numpy()
    return np.abs(difference * np.array(preprocessing.std) * 255)


@settings(max_examples=60, deadline=None)
@given(
    height=lengths, width=lengths, resize=st.none() | st.integers(1, 48), size=st.integers(1, 64)
)
def test_any_picture_gives_the_asked_shape(height, width, resize, size):
    pixels = np.zeros((height, width, 3), np.uint8)
    result = Preprocessing(resize=resize, size=size)(pixels)
    assert result.shape == (size, size, 3)
    assert result.dtype == np.float32


@settings(max_examples=40, deadline=None)
@given(short=st.integers(1, 600), stretch=st.integers(0, 500), resize=st.integers(1, 64))
def test_the_long_side_is_torchvisions(short, stretch, resize):
    # A white picture on a larger frame shows how large it was after the resize.
    long = min(short + stretch, 12 * short)
    expected = int(resize * long / short)
    result = Preprocessing(resize=resize, size=800, **PLAIN)(
        np.full((short, long, 3), 255, np.uint8)
    )
    assert (result[..., 0].any(axis=1).sum(), result[..., 0].any(axis=0).sum()) == (
        resize,
        expected,
    )


@settings(max_examples=40, deadline=None)
@given(half=st.integers(0, 20), size=st.integers(1, 40))
def test_the_crop_is_symmetric_when_it_can_be(half, size):
    pixels = np.random.default_rng(0).integers(0, 256, (size + 2 * half,) * 2 + (3,), np.uint8)
    crop = Preprocessing(resize=None, size=size, **PLAIN)
    np.testing.assert_array_equal(crop(pixels)[::-1, ::-1], crop(pixels[::-1, ::-1].copy()))


@pytest.mark.parametrize(
    ("length", "size", "start"), [(5, 2, 2), (3, 2, 0), (7, 2, 2), (9, 2, 4), (224, 224, 0)]
)
def test_the_crop_starts_where_torchvisions_does(length, size, start):
    # int(round((length - size) / 2.0)): 1.5 -> 2, 0.5 -> 0, 2.5 -> 2, 3.5 -> 4.
    ramp = np.arange(length, dtype=np.uint8)
    pixels = np.broadcast_to(ramp[:, None, None], (length, size, 3)).copy()
    crop = Preprocessing(resize=None, size=size, **PLAIN)
    expected = np.arange(start, start + size)
    for result in (crop(pixels), crop.tf(tf.constant(pixels)).numpy()):
        np.testing.assert_array_equal(np.rint(result[:, 0, 0] * 255), expected)


@pytest.mark.parametrize(("length", "before"), [(1, 1), (2, 1), (3, 0)])
def test_a_small_picture_is_framed_in_black_as_torchvision_does(length, before):
    pixels = np.full((length, 4, 3), 255, np.uint8)
    crop = Preprocessing(resize=None, size=4)
    white = np.zeros(4, bool)
    white[before : before + length] = True
    black = -np.array(crop.mean) / crop.std
    for result in (crop(pixels), crop.tf(tf.constant(pixels)).numpy()):
        np.testing.assert_array_equal(result[:, 0, 0] > 0, white)
        np.testing.assert_allclose(result[~white], np.broadcast_to(black, (4 - length, 4, 3)), 1e-6)


def test_normalisation_is_by_channel():
    result = IMAGENET(np.full((300, 300, 3), (0, 128, 255), np.uint8))
    expected = (np.array([0, 128, 255]) / 255 - IMAGENET.mean) / IMAGENET.std
    np.testing.assert_allclose(result, np.broadcast_to(expected, result.shape), rtol=1e-5)


def test_antialiasing_averages_and_its_absence_samples():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    smooth = Preprocessing(resize=16, size=16, **PLAIN)(stripes)
    sampled = Preprocessing(resize=16, size=16, antialias=False, **PLAIN)(stripes)
    np.testing.assert_allclose(smooth[8, 4:12], 0.25, atol=0.07)
    np.testing.assert_array_equal(sampled, 0)


def test_paths_pictures_and_arrays_are_the_same(tmp_path, noise):
    pixels = noise(40, 50, 3)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    small = Preprocessing(resize=32, size=24)
    expected = small(pixels)
    for same in (path, str(path), Image.fromarray(pixels), Image.open(path)):
        np.testing.assert_array_equal(small(same), expected)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)])
def test_grey_arrays_are_spread_over_the_channels(noise, shape):
    grey = noise(*shape)
    small = Preprocessing(resize=16, size=16, **PLAIN)
    expected = small(np.broadcast_to(grey.reshape(20, 30, 1), (20, 30, 3)).copy())
    np.testing.assert_array_equal(small(grey), expected)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match=r"expected a uint8 array .* got"):
        IMAGENET(image)


def test_other_things_are_refused():
    with pytest.raises(TypeError, match="expected a path, an open file, a Pillow image or a uint8"):
        IMAGENET([[0, 1]])


GREY = Preprocessing(resize=16, size=16, mean=(0.0,), std=(1.0,))


def test_one_channel_is_the_luma_of_the_picture(noise, tmp_path):
    pixels = noise(16, 16, 3)
    luma = np.asarray(Image.fromarray(pixels).convert("L")) / np.float32(255)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    for image in (pixels, path, Image.fromarray(pixels)):
        np.testing.assert_allclose(GREY(image), luma[..., None], rtol=1e-6)
    np.testing.assert_allclose(GREY.tf(tf.constant(pixels)), luma[..., None], rtol=1e-6)


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1)])
def test_a_grey_picture_keeps_its_values(noise, shape):
    grey = noise(*shape)
    np.testing.assert_array_equal(GREY.pixels(grey), grey.reshape(16, 16, 1))
    np.testing.assert_array_equal(
        GREY.pixels(Image.fromarray(grey.reshape(16, 16)))[..., 0], grey.reshape(16, 16)
    )


@pytest.mark.parametrize(("interpolation", "antialias"), KERNELS)
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_channels_are_resized_each_on_its_own(noise, interpolation, antialias, channels):
    colours = Preprocessing(20, 18, interpolation, antialias, **PLAIN)
    chosen = colours.with_channels(channels)
    assert (chosen.mean, chosen.std) == ((0.0,) * channels, (1.0,) * channels)
    pixels = noise(31, 44, channels)
    found = chosen.pixels(pixels)
    assert found.shape == (18, 18, channels)
    for channel in range(channels):
        plane = np.repeat(pixels[..., channel : channel + 1], 3, axis=2)
        np.testing.assert_array_equal(found[..., channel], colours.pixels(plane)[..., 0])


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_both_paths_agree_for_any_number_of_channels(noise, channels):
    pixels = noise(61, 40, 3 if channels == 1 else channels)
    assert levels(Preprocessing(32, 28).with_channels(channels), pixels).max() <= MOST + 1e-3


def test_channels_that_no_image_file_has_are_given_as_arrays(noise, tmp_path):
    five = IMAGENET.with_channels(5)
    path = tmp_path / "picture.png"
    Image.fromarray(noise(8, 8, 3)).save(path)
    for image in (path, str(path), Image.new("RGB", (8, 8))):
        with pytest.raises(
            ImageError, match=r"cannot make 5 channels .* array \(height, width, 5\)"
        ):
            five(image)
    for array in (noise(8, 8, 3), noise(8, 8), noise(0, 8, 5), np.zeros((8, 8, 5), "float32")):
        with pytest.raises(ValueError, match=r"expected a uint8 array \(height, width, 5\).*; got"):
            five(array)


def test_mean_and_deviation_follow_the_channels():
    chosen = Preprocessing(mean=(0.1, 0.2, 0.6), std=(1.0, 2.0, 3.0))
    assert chosen.with_channels(3) == chosen
    assert chosen.with_channels(5).std == (1.0, 2.0, 3.0, 1.0, 2.0)
    np.testing.assert_allclose(chosen.with_channels(2).mean, (0.35, 0.2))
    np.testing.assert_allclose(chosen.with_channels(1).std, (2.0,))
    assert chosen.with_channels(1).with_channels(3).std == (2.0,) * 3
    with pytest.raises(ValueError, match="channels must be at least 1, got 3 and 0"):
        chosen.with_channels(0)


def test_another_size_keeps_the_proportion():
    assert IMAGENET.with_size(112) == dataclasses.replace(IMAGENET, resize=128, size=112)
    assert IMAGENET.with_size(None) == IMAGENET.with_size(224) == IMAGENET
    assert dataclasses.replace(IMAGENET, resize=None).with_size(32).resize is None
    with pytest.raises(ValueError, match="size must be a positive integer, not 0"):
        IMAGENET.with_size(0)


def test_a_strip_that_would_fill_the_memory_is_refused():
    with pytest.raises(ImageError, match="60000x1 pixels is too narrow to resize"):
        IMAGENET(np.zeros((1, 60_000, 3), np.uint8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be a positive integer, not 0"),
        ({"size": 22.5}, "size must be a positive integer, not 22.5"),
        ({"size": True}, "size must be a positive integer, not True"),
        ({"resize": -1}, "resize must be a positive integer, not -1"),
        ({"mean": (0.5, 0.5)}, "mean and std must have one number per channel each, got 2 and 3"),
        ({"mean": ()}, "mean must be finite numbers, one per channel"),
        ({"mean": (0.5, 0.5, float("nan"))}, "mean must be finite numbers, one per channel"),
        ({"std": (1, 1, float("inf"))}, "std must be finite numbers, one per channel"),
        ({"std": (1, 0, 1)}, "std must be positive"),
        ({"interpolation": "bicubic", "antialias": False}, "antialias=False goes with"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**settings)


def test_an_unknown_interpolation_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'bicubic'"):
        Preprocessing(interpolation="bicubik")


def test_settings_survive_json():
    chosen = Preprocessing(None, 32, "bicubic", True, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Preprocessing.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("std"), r"missing \['std'\], unknown none"),
        (lambda d: d.update(crop=1), r"missing none, unknown \['crop'\]"),
    ],
)
def test_settings_must_be_complete_and_known(change, message):
    settings = IMAGENET.to_dict()
    change(settings)
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict(settings)


@pytest.mark.parametrize(("interpolation", "antialias"), KERNELS)
@pytest.mark.parametrize("shape", [(61, 97), (40, 23), (300, 200), (28, 28), (2, 90)])
def test_both_paths_agree(photograph, noise, interpolation, antialias, shape):
    for pixels in (photograph(*shape), noise(*shape, 3)):
        for resize, size in ((32, 28), (64, 70), (None, 33)):
            chosen = Preprocessing(resize, size, interpolation, antialias)
            difference = levels(chosen, pixels)
            assert difference.max() <= MOST + 1e-3
            assert difference.mean() <= MEAN


def test_the_tf_path_works_in_a_graph_with_unknown_sizes(noise):
    small = Preprocessing(resize=20, size=16)
    graph = tf.function(small.tf, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])
    assert graph.get_concrete_function().output_shapes == (16, 16, 3)
    for shape in ((30, 40, 3), (25, 18, 3)):
        pixels = noise(*shape)
        np.testing.assert_array_equal(graph(pixels), small.tf(tf.constant(pixels)))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_tf_decodes_jpeg_to_pillows_pixels(encode, photograph, subsampling):
    data = encode(photograph(61, 83), "jpeg", quality=82, subsampling=subsampling)
    decoded = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(decoded, open_image(data))


def test_both_paths_agree_on_photographs(imagenette):
    for resize, size in ((256, 224), (146, 128), (73, 64)):
        chosen = dataclasses.replace(IMAGENET, resize=resize, size=size)
        differences = []
        for index in range(0, len(imagenette), 300):
            pixels = imagenette.image(index)
            data = imagenette.read(index)
            decoded = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
            np.testing.assert_array_equal(decoded, pixels)
            differences.append(levels(chosen, pixels))
        assert np.max(differences) <= MOST + 1e-3
        assert np.mean(differences) <= MEAN_OF_PHOTOGRAPHS
