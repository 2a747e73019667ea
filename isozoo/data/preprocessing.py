"""What is done to a picture before a network sees it, as a value kept with the weights."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from isozoo.data.images import open_image, to_rgb
from isozoo.errors import ImageError, unknown

# Name -> (Pillow's filter, the name of the same kernel in tf.image.resize).
_INTERPOLATIONS = {
    "bilinear": (Image.Resampling.BILINEAR, "bilinear"),
    "bicubic": (Image.Resampling.BICUBIC, "bicubic"),
    "lanczos": (Image.Resampling.LANCZOS, "lanczos3"),
}
# Pixels after the resize. A strip of 1x60000 would otherwise ask for 12 GB at a short side of 256.
_LARGEST = 2**27

Picture = str | os.PathLike[str] | BinaryIO | Image.Image | np.ndarray
"""What `Preprocessing` takes for one picture."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize the short side, crop the centre, scale to [0, 1], subtract the mean, divide by std.

    The rules are those of torchvision's `Resize`, `CenterCrop`, `ToTensor` and `Normalize` on a
    Pillow image, to the pixel: the long side becomes `floor(resize * long / short)`, the crop
    starts at `round((length - size) / 2)` with halves to even, and a picture smaller than the crop
    is framed in black.

    Calling it with a path, a Pillow image or a uint8 array returns one float32 array
    `(size, size, 3)`; `tf` does the same to a TensorFlow tensor. The two differ by at most 2 of the
    255 levels of a pixel, and on average by less than 0.1 levels (on photographs less than 0.02):
    Pillow's resize counts in integers, TensorFlow's in floats, which may round the other way.

    Args:
        resize: Length of the short side after resizing, or None to keep the picture's size.
        size: Side of the square centre crop.
        interpolation: "bilinear", "bicubic" or "lanczos".
        antialias: Whether shrinking averages over all pixels; only "bilinear" can do without.
        mean: Per channel (red, green, blue), of values in [0, 1].
        std: Per channel, positive.

    Raises:
        ValueError: A length is not a positive integer, mean or std is not three finite numbers,
            std is not positive, or `antialias=False` is asked of a kernel that needs it.
        UnknownNameError: The interpolation has another name.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET
        >>> IMAGENET(np.zeros((300, 400, 3), np.uint8)).shape
        (224, 224, 3)
    """

    resize: int | None = 256
    size: int = 224
    interpolation: str = "bilinear"
    antialias: bool = True
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        _check_length("size", self.size)
        if self.resize is not None:
            _check_length("resize", self.resize)
        if self.interpolation not in _INTERPOLATIONS:
            raise unknown("interpolation", str(self.interpolation), _INTERPOLATIONS)
        if not self.antialias and self.interpolation != "bilinear":
            raise ValueError(
                f"antialias=False goes with interpolation 'bilinear' only, not "
                f"'{self.interpolation}'; set antialias=True"
            )
        object.__setattr__(self, "mean", _triple("mean", self.mean))
        object.__setattr__(self, "std", _triple("std", self.std))
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values.

        Returns:
            One entry per field; tuples become lists.
        """
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Preprocessing:
        """Read the settings that `to_dict` wrote.

        Args:
            settings: One entry per field, no more and no fewer.

        Returns:
            The preprocessing.

        Raises:
            ValueError: An entry is missing, unknown or not allowed.

        Example:
            >>> settings = Preprocessing(resize=None, size=32).to_dict()
            >>> Preprocessing.from_dict(settings).size
            32
        """
        names = {field.name for field in fields(cls)}
        if settings.keys() != names:
            missing = sorted(names - settings.keys()) or "none"
            extra = sorted(settings.keys() - names) or "none"
            raise ValueError(
                f"preprocessing settings do not fit: missing {missing}, unknown {extra}"
            )
        return cls(**settings)

    def __call__(self, image: Picture) -> np.ndarray:
        """Prepare one picture.

        Args:
            image: A path, an open binary file, a Pillow image, or a uint8 array
                `(height, width, 3)` or, if grey, `(height, width)`.

        Returns:
            A float32 array `(size, size, 3)`.

        Raises:
            ImageError: The file is not a sound image, or the picture is too narrow to resize.
            ValueError: An array is not uint8 or has another shape.
            TypeError: It is none of these.
        """
        picture = self._resized(_picture(image))
        return self.normalize(_centre_crop(np.asarray(picture), self.size))

    def normalize(self, pixels: Any) -> Any:
        """Map 8-bit values to the network's range: `(pixels / 255 - mean) / std`.

        Args:
            pixels: An array, or a float32 tensor of any backend, `(..., 3)` with values in
                [0, 255].

        Returns:
            The same shape; a NumPy array comes back as float32.
        """
        scale, offset = self._affine()
        if isinstance(pixels, np.ndarray):
            pixels = pixels.astype(np.float32)
        return pixels * scale - offset

    def tf(self, image: Any) -> Any:
        """Do the same to a decoded TensorFlow image, inside a `tf.data` map or a `tf.function`.

        Args:
            image: A uint8 tensor `(height, width, 3)`; height and width may be unknown. JPEG
                files decode to Pillow's pixels with `dct_method="INTEGER_ACCURATE"`.

        Returns:
            A float32 tensor `(size, size, 3)`.
        """
        import tensorflow as tf

        shape = tf.shape(image)
        height, width = shape[0], shape[1]
        image = tf.cast(image, tf.float32)
        if self.resize is not None:
            short = tf.minimum(height, width)
            height, old = self.resize * height // short, height
            width = self.resize * width // short
            # Pillow resizes rows, rounds to 8 bits, then resizes columns.
            passes = [(old, width), (height, width)] if self.antialias else [(height, width)]
            _, method = _INTERPOLATIONS[self.interpolation]
            for target in passes:
                image = tf.image.resize(image, target, method, antialias=self.antialias)
                image = tf.clip_by_value(tf.floor(image + 0.5), 0.0, 255.0)
        for axis, length in ((0, height), (1, width)):
            image = _tf_centre(tf, image, length, self.size, axis)
        image.set_shape((self.size, self.size, 3))
        return self.normalize(image)

    def resize_picture(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Resize with this preprocessing's kernel, pixel centres being at halves.

        Args:
            picture: A Pillow image of mode RGB.
            size: `(width, height)` of the result.

        Returns:
            A Pillow image of mode RGB and that size.
        """
        kernel, _ = _INTERPOLATIONS[self.interpolation]
        if self.antialias:
            return picture.resize(size, kernel)
        # Pillow's resize always averages when it shrinks; its affine map samples single points.
        # It cuts 8-bit results off instead of rounding them, hence the channels as floats.
        across, down = picture.width / size[0], picture.height / size[1]
        matrix = (across, 0, 0, 0, down, 0)
        bands = [
            np.asarray(band.convert("F").transform(size, Image.Transform.AFFINE, matrix, kernel))
            for band in picture.split()
        ]
        return Image.fromarray(np.floor(np.stack(bands, axis=-1) + 0.5).astype(np.uint8))

    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        scale = 1.0 / (255.0 * np.asarray(self.std))
        offset = np.asarray(self.mean) / np.asarray(self.std)
        return scale.astype(np.float32), offset.astype(np.float32)

    def _resized(self, picture: Image.Image) -> Image.Image:
        short = min(picture.size)
        if self.resize is None or short == self.resize:
            return picture
        width, height = (self.resize * length // short for length in picture.size)
        if width * height > _LARGEST:
            raise ImageError(
                f"a picture of {picture.width}x{picture.height} pixels is too narrow to resize: "
                f"with a short side of {self.resize} it would be {width}x{height}; crop it first"
            )
        return self.resize_picture(picture, (width, height))


def _picture(image: Picture) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return open_image(image)
    raise TypeError(
        "expected a path, an open file, a Pillow image or a uint8 array, not "
        f"{type(image).__name__}"
    )


def _from_array(image: np.ndarray) -> Image.Image:
    channels = image.shape[2:] if image.ndim in (2, 3) else None
    if image.dtype != np.uint8 or channels not in ((), (1,), (3,)) or 0 in image.shape:
        raise ValueError(
            "expected a uint8 array (height, width, 3) or (height, width) with values in "
            f"[0, 255]; got {image.dtype} of shape {image.shape}"
        )
    return Image.fromarray(image[..., 0] if channels == (1,) else image).convert("RGB")


def _centre_crop(pixels: np.ndarray, size: int) -> np.ndarray:
    margins = [max(size - length, 0) for length in pixels.shape[:2]]
    if any(margins):
        pad = [(margin // 2, margin - margin // 2) for margin in margins]
        pixels = np.pad(pixels, [*pad, (0, 0)])
    top, left = (round((length - size) / 2) for length in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def _tf_centre(tf: Any, image: Any, length: Any, size: int, axis: int) -> Any:
    margin = tf.maximum(size - length, 0)
    pads = [[0, 0], [0, 0], [0, 0]]
    pads[axis] = [margin // 2, margin - margin // 2]
    excess = tf.cast(tf.maximum(length - size, 0), tf.float32)
    start = tf.cast(tf.round(excess / 2.0), tf.int32)
    begin, extent = [0, 0, 0], [-1, -1, -1]
    begin[axis], extent[axis] = start, size
    return tf.slice(tf.pad(image, pads), begin, extent)


def _check_length(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, not {value!r}")


def _triple(name: str, values: Any) -> tuple[float, float, float]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != 3 or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} must be three finite numbers, not {values!r}")
    return numbers


IMAGENET = Preprocessing()
"""How ImageNet classifiers are evaluated: short side 256, centre 224 (He et al. 2015)."""
