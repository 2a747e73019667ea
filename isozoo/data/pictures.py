"""Whatever a caller has for a picture, as Pillow images."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
from PIL import Image

from isozoo.data.images import open_image, to_rgb
from isozoo.errors import ImageError

Picture = str | os.PathLike[str] | BinaryIO | Image.Image | np.ndarray
"""What `Preprocessing` takes for one picture."""


def pictures_of(image: Picture, channels: int) -> list[Image.Image]:
    """Return what has to be resized: the RGB picture, its luma, or a grey picture per channel.

    Args:
        image: A path, an open binary file, a Pillow image or a uint8 array.
        channels: Channels that are wanted.

    Returns:
        One RGB picture for three channels, one grey one otherwise for each.

    Raises:
        ImageError: The file is not a sound image, or cannot hold so many channels.
        ValueError: An array is not uint8 or has another shape.
        TypeError: It is none of these.

    Example:
        >>> [part.mode for part in pictures_of(np.zeros((2, 2, 5), np.uint8), 5)]
        ['L', 'L', 'L', 'L', 'L']
    """
    if channels == 3:
        return [_picture(image)]
    if channels == 1:
        return [_picture(image).convert("L")]
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"cannot make {channels} channels from an image, which has 3 or 1; give a uint8 array "
            f"(height, width, {channels}) instead of {image!r}"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != channels or not image.size:
        raise ValueError(
            f"expected a uint8 array (height, width, {channels}) with values in [0, 255]; got "
            f"{image.dtype} of shape {image.shape}"
        )
    return [Image.fromarray(image[..., channel]) for channel in range(channels)]


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
