import io
import warnings

import numpy as np
import pytest
from PIL import Image, features

from isozoo.data import image_paths, open_image
from isozoo.data.images import to_rgb
from isozoo.errors import DataError, ImageError

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)

# What a viewer does to the stored pixels for each EXIF orientation.
ORIENTATIONS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


def pixel(data: bytes) -> tuple[int, ...]:
    picture = open_image(data)
    assert picture.mode == "RGB"
    return picture.getpixel((0, 0))


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, WHITE),
        ("LA", (10, 255), (10, 10, 10)),
        ("LA", (10, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
    ],
)
def test_png_of_every_mode_becomes_rgb_over_white(encode, mode, colour, expected):
    assert pixel(encode(Image.new(mode, (3, 2), colour), "png")) == expected


def test_palette_with_one_transparent_colour_is_laid_over_white(encode):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    picture = open_image(encode(image, "png", transparency=0))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [WHITE, GREEN]


def test_palette_with_an_opacity_for_each_colour_is_laid_over_white(encode):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    picture = open_image(encode(image, "png", transparency=bytes([128, 0])))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 127, 127), WHITE]


def test_grey_with_a_transparent_level_is_laid_over_white(encode):
    image = Image.fromarray(np.array([[9, 50]], np.uint8))
    picture = open_image(encode(image, "png", transparency=9))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (50, 50, 50)]


def test_16_bit_grey_keeps_its_upper_eight_bits(encode):
    values = np.array([[0x0000, 0x00FF, 0x80FF, 0xFFFF]], np.uint16)
    pixels = np.asarray(open_image(encode(values, "png")))
    assert pixels[0, :, 0].tolist() == [0x00, 0x00, 0x80, 0xFF]
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bit_pixels_are_refused(encode, dtype):
    data = encode(np.ones((2, 2), dtype), "tiff")
    with pytest.raises(ImageError, match=r"32-bit numbers .* convert it to 8 bits first"):
        open_image(data)


def test_cmyk_jpeg_is_not_inverted(encode):
    cyan = encode(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "jpeg", quality=100)
    assert np.abs(np.subtract(pixel(cyan), (0, 255, 255))).max() <= 2


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_applied(encode, noise, orientation):
    stored = noise(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = np.asarray(open_image(encode(stored, "png", exif=exif)))
    np.testing.assert_array_equal(shown, ORIENTATIONS[orientation](stored))


def test_a_damaged_exif_block_does_not_hide_the_picture(encode, photograph):
    pixels = photograph(16, 24)
    plain, damaged = encode(pixels, "jpeg"), encode(pixels, "jpeg", exif=b"Exif\0\0MM*garbage")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's own note on the damage
        np.testing.assert_array_equal(open_image(damaged), open_image(plain))


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation_is_used(encode, kind):
    if not features.check("webp") and kind == "webp":
        pytest.skip("this Pillow reads no WebP")
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREEN)
    options = {"lossless": True} if kind == "webp" else {}
    data = encode(first, kind, save_all=True, append_images=[second], duration=50, **options)
    with Image.open(io.BytesIO(data)) as animation:
        assert animation.n_frames == 2
    assert pixel(data) == RED


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "tiff"])
def test_a_truncated_file_is_named(tmp_path, encode, noise, kind):
    path = tmp_path / f"half.{kind}"
    data = encode(noise(64, 64, 3), kind)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=rf"cannot read '.*half\.{kind}' as an image: "):
        open_image(path)


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(ImageError, match=r"empty\.jpg' as an image: it is empty \(0 bytes\)"):
        open_image(path)


def test_a_file_that_is_no_image_is_named(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>404</html>")
    with pytest.raises(ImageError, match=r"page\.jpg' .* its 16 bytes are of no known image"):
        open_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg' as an image: No such file"):
        open_image(tmp_path / "gone.jpg")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="as an image: "):
        open_image(tmp_path)


def test_a_decompression_bomb_is_refused(encode, noise, monkeypatch):
    data = encode(noise(40, 60, 3), "png")
    # Pillow warns above its limit and refuses above twice the limit.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60 // 2 - 1)
    with pytest.raises(ImageError, match=r"cannot read big\.png as .* decompression bomb"):
        open_image(data, name="big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60)
    assert open_image(data).size == (60, 40)


def test_a_stream_is_read_and_the_given_name_is_used(encode, noise):
    pixels = noise(3, 4, 3)
    np.testing.assert_array_equal(open_image(io.BytesIO(encode(pixels, "png"))), pixels)
    with pytest.raises(ImageError, match="cannot read upload 7 as an image"):
        open_image(io.BytesIO(b"?"), name="upload 7")


def test_an_error_in_a_stream_without_a_name_says_what_it_was():
    with pytest.raises(ImageError, match="cannot read the given bytes as an image"):
        open_image(b"?")
    with pytest.raises(ImageError, match="cannot read the given stream as an image"):
        open_image(io.BytesIO(b"?"))


def test_to_rgb_leaves_rgb_pixels_alone(noise):
    pixels = noise(5, 7, 3)
    np.testing.assert_array_equal(to_rgb(Image.fromarray(pixels)), pixels)


def test_image_paths_are_sorted_and_without_hidden_or_other_files(tree):
    root = tree(["b.png", "a/z.JPEG", "a/._z.jpg", ".cache/x.png", "notes.txt"])
    assert [path.relative_to(root).as_posix() for path in image_paths(root)] == [
        "a/z.JPEG",
        "b.png",
    ]


def test_image_paths_below_a_hidden_folder_are_found(tmp_path):
    root = tmp_path / ".hidden"
    root.mkdir()
    Image.new("L", (1, 1)).save(root / "a.png")
    assert image_paths(root) == [root / "a.png"]


def test_image_paths_of_a_file_is_that_file(tree):
    path = tree(["a.png"]) / "a.png"
    assert image_paths(path) == [path]


def test_image_paths_without_images_says_what_was_looked_for(tree):
    with pytest.raises(DataError, match=r"no images in the folder .*pictures; looked for .*\.png"):
        image_paths(tree(["notes.txt"]))


def test_image_paths_of_nothing(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        image_paths(tmp_path / "gone")
