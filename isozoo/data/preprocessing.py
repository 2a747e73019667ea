"""What is done to a picture before a network sees it, as a value kept with the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from PIL import Image

from isozoo.data.channels import shared_channels
from isozoo.data.pictures import Picture, pictures_of
from isozoo.errors import ImageError, unknown

# Name -> (Pillow's filter, the name of the same kernel in tf.image.resize).
_INTERPOLATIONS = {
    "bilinear": (Image.Resampling.BILINEAR, "bilinear"),
    "bicubic": (Image.Resampling.BICUBIC, "bicubic"),
    "lanczos": (Image.Resampling.LANCZOS, "lanczos3"),
}
# Pillow's luma of red, green and blue (ITU-R 601), in parts of 2**16.
_LUMA = (19595, 38470, 7471)
# Pixels after the resize. A strip of 1x60000 would otherwise ask for 12 GB at a short side of 256.
_LARGEST = 2**27


@dataclass(frozen=True)
class Preprocessing:
    """Resize the short side, crop the centre, scale to [0, 1], subtract the mean, divide by std.

    The rules are those of torchvision's `Resize`, `CenterCrop`, `ToTensor` and `Normalize` on a
    Pillow image, to the pixel: the long side becomes `floor(resize * long / short)`, the crop
    starts at `round((length - size) / 2)` with halves to even, and a picture smaller than the crop
    is framed in black.

    Calling it with a path, a Pillow image or a uint8 array returns one float32 array
    `(size, size, channels)`; `tf` does the same to a TensorFlow tensor. The two differ by at most 2
    of the 255 levels of a pixel, and on average by less than 0.1 levels (on photographs less than
    0.02): Pillow's resize counts in integers, TensorFlow's in floats, which may round the other
    way.

    There are as many channels as numbers in `mean`. Three are red, green and blue. One is the luma
    of these, `0.299 R + 0.587 G + 0.114 B` rounded to 8 bits before the resize, so that a grey
    picture keeps its values. Any other number no image file holds: such pictures are uint8 arrays
    `(height, width, channels)`.

    Args:
        resize: Length of the short side after resizing, or None to keep the picture's size.
        size: Side of the square centre crop.
        interpolation: "bilinear", "bicubic" or "lanczos".
        antialias: Whether shrinking averages over all pixels; only "bilinear" can do without.
        mean: One number per channel, of values in [0, 1].
        std: One number per channel, positive.

    Raises:
        ValueError: A length is not a positive integer, mean and std are not finite numbers, one
            per channel, std is not positive, or `antialias=False` is asked of a kernel that needs
            it.
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
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

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
        for name in ("mean", "std"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean and std must have one number per channel each, got {len(self.mean)} and "
                f"{len(self.std)}"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")

    @property
    def channels(self) -> int:
        """Number of channels of the result."""
        return len(self.mean)

    def with_channels(self, channels: int) -> Preprocessing:
        """Return the same for another number of channels.

        Mean and std of a channel are the averages over those it stands for, see
        `isozoo.data.channels.shared_channels`.

        Args:
            channels: The new number, at least 1.

        Raises:
            ValueError: It is below 1.

        Example:
            >>> Preprocessing(mean=(0.1, 0.2, 0.6)).with_channels(4).mean
            (0.1, 0.2, 0.6, 0.1)
            >>> round(Preprocessing(mean=(0.1, 0.2, 0.6)).with_channels(1).mean[0], 6)
            0.3
        """
        if channels == self.channels:
            return self
        shared = shared_channels(self.channels, channels)
        means, stds = ((np.array(row) @ shared) / shared.sum(0) for row in (self.mean, self.std))
        return replace(self, mean=tuple(means.tolist()), std=tuple(stds.tolist()))

    def with_size(self, size: int | None) -> Preprocessing:
        """Return the same for another square, resizing in the same proportion to it.

        Args:
            size: Side of the centre crop, at least 1; None for no change.

        Raises:
            ValueError: It is below 1.

        Example:
            >>> Preprocessing(resize=256, size=224).with_size(112).resize
            128
        """
        if size is None or size == self.size:
            return self
        resize = self.resize and max(1, round(self.resize * size / self.size))
        return replace(self, resize=resize, size=size)

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
                `(height, width, 3)` or, if grey, `(height, width)`; with other than 1 or 3
                channels, a uint8 array `(height, width, channels)` only.

        Returns:
            A float32 array `(size, size, channels)`.

        Raises:
            ImageError: The file is not a sound image or cannot hold so many channels, or the
                picture is too narrow to resize.
            ValueError: An array is not uint8 or has another shape.
            TypeError: It is none of these.
        """
        return self.normalize(self.pixels(image))

    def pixels(self, image: Picture) -> np.ndarray:
        """Resize and crop one picture, without the normalisation.

        Args:
            image: As for calling.

        Returns:
            A uint8 array `(size, size, channels)`.

        Raises:
            ImageError: As for calling.
            ValueError: As for calling.
            TypeError: As for calling.
        """
        parts = [np.asarray(self._resized(part)) for part in pictures_of(image, self.channels)]
        return _centre_crop(np.dstack(parts), self.size)

    def normalize(self, pixels: Any) -> Any:
        """Map 8-bit values to the network's range: `(pixels / 255 - mean) / std`.

        Args:
            pixels: An array, or a float32 tensor of any backend, `(..., channels)` with values
                in [0, 255].

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
            image: A uint8 tensor `(height, width, 3)`, or `(height, width, channels)` with other
                than 1 or 3 channels; height and width may be unknown. JPEG files decode to
                Pillow's pixels with `dct_method="INTEGER_ACCURATE"`.

        Returns:
            A float32 tensor `(size, size, channels)`.
        """
        import tensorflow as tf

        shape = tf.shape(image)
        height, width = shape[0], shape[1]
        if self.channels == 1:
            parts = tf.reduce_sum(tf.cast(image, tf.int32) * _LUMA, axis=-1, keepdims=True)
            image = (parts + 2**15) // 2**16
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
        image.set_shape((self.size, self.size, self.channels))
        return self.normalize(image)

    def resize_picture(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Resize with this preprocessing's kernel, pixel centres being at halves.

        Args:
            picture: A Pillow image of mode RGB or L.
            size: `(width, height)` of the result.

        Returns:
            A Pillow image of the same mode and of that size.
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
        rounded = [np.floor(band + 0.5).astype(np.uint8) for band in bands]
        return Image.merge(picture.mode, [Image.fromarray(band) for band in rounded])

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


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} must be finite numbers, one per channel, not {values!r}")
    return numbers


IMAGENET = Preprocessing()
"""How ImageNet classifiers are evaluated: short side 256, centre 224 (He et al. 2015)."""
