import numpy as np
import pytest
from PIL import Image

from isozoo.data import ImageFolder, InMemoryImages, cache_images
from isozoo.errors import DataError, ImageError


def test_arrays_lists_and_encoded_images_are_the_same(encode, noise):
    pixels = noise(2, 5, 6, 3)
    for images in (pixels, list(pixels), [encode(image, "png") for image in pixels]):
        data = InMemoryImages(images, [1, 0], ["a", "b"])
        assert len(data) == 2
        assert data.classes == ("a", "b")
        assert data.labels.dtype == np.int32
        for index in range(2):
            np.testing.assert_array_equal(data.image(index), pixels[index])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (3, [0, 1], r"3 images do not go with labels of shape \(2,\)"),
        (0, [], "0 images do not go with"),
        (2, [[0], [1]], r"labels of shape \(2, 1\)"),
        (2, [0, 2], "labels run from 0 to 2 but there are 2 classes"),
        (2, [-1, 0], "labels run from -1 to 0"),
    ],
)
def test_labels_must_fit(images, labels, message):
    with pytest.raises(DataError, match=message):
        InMemoryImages(np.zeros((images, 4, 4, 3), np.uint8), labels, ["a", "b"])


@pytest.mark.parametrize("images", [np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4), np.uint8)])
def test_arrays_must_be_8_bit_rgb(images):
    with pytest.raises(DataError, match=r"image 0 is .* expected uint8"):
        InMemoryImages(images, [0], ["a"]).image(0)


def test_damaged_bytes_are_named():
    with pytest.raises(ImageError, match="cannot read image 1 as an image"):
        InMemoryImages([b"", b"damaged"], [0, 0], ["a"]).image(1)


def test_the_cache_shrinks_large_images_and_keeps_the_order(noise):
    images = [noise(40, 80, 3), noise(90, 60, 3), noise(20, 70, 3), noise(30, 30, 3)]
    data = InMemoryImages(images, [3, 2, 1, 0], list("abcd"))
    kept = cache_images(data, 30, workers=3)
    assert [kept.image(i).shape for i in range(4)] == [
        (30, 60, 3),
        (45, 30, 3),
        (20, 70, 3),
        (30, 30, 3),
    ]
    assert kept.labels.tolist() == [3, 2, 1, 0]
    assert kept.classes == data.classes
    np.testing.assert_array_equal(kept.image(2), images[2])
    shrunk = Image.fromarray(images[0]).resize((60, 30), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(kept.image(0), shrunk)


def test_the_cache_decodes_each_image_once(noise):
    class Counted(InMemoryImages):
        read = 0

        def image(self, index):
            self.read += 1
            return super().image(index)

    data = Counted(noise(5, 8, 8, 3), [0] * 5, ["a"])
    kept = cache_images(data, 8, workers=1)
    for index in range(5):
        kept.image(index)
        kept.image(index)
    assert data.read == 5


def test_the_cache_is_quiet_when_it_is_not_watched(noise, capfd):
    cache_images(InMemoryImages(noise(3, 8, 8, 3), [0] * 3, ["a"]), 8)
    assert capfd.readouterr() == ("", "")


def test_the_cache_names_a_damaged_file(tree):
    root = tree(["a/1.png", "a/2.png", "a/3.png"])
    (root / "a/2.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match=r"a/2\.png"):
        cache_images(ImageFolder(root), 32)


def test_the_cache_needs_a_size(noise):
    with pytest.raises(ValueError, match="short side must be positive, not 0"):
        cache_images(InMemoryImages(noise(1, 8, 8, 3), [0], ["a"]), 0)
