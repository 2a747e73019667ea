"""What is done to a picture before a network sees it, as a value kept with the weights."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image

from isozoo.data.images import open_image, to_rgb
from isozoo.errors import unknown

# Name -> (Pillow's filter, the name of the same kernel in tf.image.resize).
_INTERPOLATIONS = {
    "nearest": (Image.Resampling.NEAREST, "nearest"),
    "bilinear": (Image.Resampling.BILINEAR, "bilinear"),
    "bicubic": (Image.Resampling.BICUBIC, "bicubic"),
    "lanczos": (Image.Resampling.LANCZOS, "lanczos3"),
}
# Without antialiasing Pillow and TensorFlow agree on these two only.
_WITHOUT_ANTIALIAS = ("nearest", "bilinear")


@dataclass(frozen=True)
class Preprocessing:
    """Resize the short side, crop the centre, scale to [0, 1], subtract the mean, divide by std.

    The rules are those of torchvision's `Resize`, `CenterCrop`, `ToTensor` and `Normalize` on a
    Pillow image, to the pixel: the long side becomes `floor(resize * long / short)`, the crop
    starts at `round((length - size) / 2)` with halves to even, and a picture smaller than the crop
    is framed in black.

    Calling it with a path, a Pillow image or a uint8 array returns one float32 array
    `(size, size, 3)`; `tf` does the same to a TensorFlow tensor. Both start from equal pixels
    (`tf.io.decode_jpeg` with `dct_method="INTEGER_ACCURATE"` decodes to Pillow's bytes) and differ
    only in the rounding inside the resize: Pillow rounds after each of its two passes, `tf` once.

    Args:
        resize: Length of the short side after resizing, or None to keep the picture's size.
        size: Side of the square centre crop.
        interpolation: "bilinear", "bicubic", "lanczos" or "nearest".
        antialias: Whether shrinking averages over all pixels. Only "bilinear" and "nearest" can
            do without, and "nearest" never does.
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
        if not self.antialias and self.interpolation not in _WITHOUT_ANTIALIAS:
            raise ValueError(
                f"antialias=False with interpolation '{self.interpolation}' is not supported; "
                f"use antialias=True or one of {', '.join(_WITHOUT_ANTIALIAS)}"
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

    def __call__(self, image: str | os.PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
        """Prepare one picture.

        Args:
            image: A path, a Pillow image, or a uint8 array `(height, width, 3)` or, if grey,
                `(height, width)`.

        Returns:
            A float32 array `(size, size, 3)`.

        Raises:
            ImageError: The file is not a sound image.
            ValueError: An array is not uint8 or has another shape.
            TypeError: It is none of the three.
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
            image: A uint8 tensor `(height, width, 3)`; height and width may be unknown.

        Returns:
            A float32 tensor `(size, size, 3)`.
        """
        import tensorflow as tf

        shape = tf.shape(image)
        height, width = shape[0], shape[1]
        if self.resize is not None:
            short = tf.minimum(height, width)
            target = [self.resize * height // short, self.resize * width // short]
            _, method = _INTERPOLATIONS[self.interpolation]
            image = tf.image.resize(image, target, method=method, antialias=self.antialias)
            height, width = target
        image = tf.clip_by_value(tf.round(tf.cast(image, tf.float32)), 0.0, 255.0)
        for axis, length in ((0, height), (1, width)):
            image = _tf_centre(tf, image, length, self.size, axis)
        image.set_shape((self.size, self.size, 3))
        return self.normalize(image)

    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        scale = 1.0 / (255.0 * np.asarray(self.std))
        offset = np.asarray(self.mean) / np.asarray(self.std)
        return scale.astype(np.float32), offset.astype(np.float32)

    def _resized(self, picture: Image.Image) -> Image.Image:
        short = min(picture.size)
        if self.resize is None or short == self.resize:
            return picture
        width, height = (self.resize * length // short for length in picture.size)
        return resize_picture(
            picture, (width, height), interpolation=self.interpolation, antialias=self.antialias
        )


def resize_picture(
    picture: Image.Image,
    size: tuple[int, int],
    *,
    interpolation: str = "bilinear",
    antialias: bool = True,
) -> Image.Image:
    """Resize a Pillow image, with pixel centres at halves.

    Args:
        picture: The image.
        size: `(width, height)` of the result.
        interpolation: See `Preprocessing`.
        antialias: See `Preprocessing`.

    Returns:
        A Pillow image of that size and the same mode.
    """
    kernel, _ = _INTERPOLATIONS[interpolation]
    if antialias:
        return picture.resize(size, kernel)
    # Pillow's resize always averages when it shrinks; its affine map samples single points.
    across, down = picture.width / size[0], picture.height / size[1]
    return picture.transform(
        size, Image.Transform.AFFINE, (across, 0, 0, 0, down, 0), resample=kernel
    )


def _picture(image: str | os.PathLike[str] | Image.Image | np.ndarray) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, str | os.PathLike):
        return open_image(image)
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"expected a path, a Pillow image or a uint8 array, not {type(image).__name__}"
        )
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
