"""Pictures of any size as images of a few sizes, and boxes back in pixels of the pictures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from PIL import Image

#: Sides of images are multiples of it: the pyramid's last stage has this stride.
DIVISOR = 32


@dataclasses.dataclass(frozen=True)
class Scaling:
    """How large a picture becomes: its short side `short`, but its long side at most `long`.

    Images are filled up with zeros, at the right and below: to squares, so that all have one shape,
    which `fit` on TensorFlow needs, or to two shapes, for wide and for high pictures, which are
    smaller. Detectron2 fills up to the largest picture of a batch, and in training draws the short
    side from 640 to 800.

    Args:
        short: Length of the short side.
        long: Largest length of the long side, at least `short`.
        square: Whether all images have one shape.

    Raises:
        ValueError: Not 1 <= `short` <= `long`.

    Example:
        >>> scaling = Scaling(512, 864)
        >>> scaling.factor(480, 640), scaling.shape(480, 640)
        (1.0666666666666667, (864, 864))
        >>> two = Scaling(512, 864, square=False)
        >>> two.shape(480, 640), two.shape(640, 480)
        ((512, 864), (864, 512))
    """

    short: int = 800
    long: int = 1333
    square: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no size."""
        if not 1 <= self.short <= self.long:
            raise ValueError(
                f"a scaling needs 1 <= short <= long, got short={self.short}, long={self.long}"
            )

    def factor(self, height: int, width: int) -> float:
        """Return by what a picture is enlarged."""
        return min(self.short / min(height, width), self.long / max(height, width))

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the filled up image of a picture."""
        short, long = (math.ceil(side / DIVISOR) * DIVISOR for side in (self.short, self.long))
        if self.square:
            return long, long
        return (long, short) if height > width else (short, long)

    def scaled(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture in its new size, not filled up, and what its boxes are multiplied by.

        Args:
            pixels: uint8 `(height, width, channels)`.

        Returns:
            uint8 pixels, and `(4,)` ratios of new and old width, height, width and height. The
            sides are rounded each by itself, so these are not quite equal.
        """
        height, width = pixels.shape[:2]
        factor = self.factor(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        channels = [
            np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR))
            for channel in np.moveaxis(pixels, -1, 0)
        ]
        ratios = np.array([size[0] / width, size[1] / height] * 2, np.float32)
        return np.stack(channels, axis=-1), ratios


def filled(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return an image filled up with zeros at the right and below.

    Args:
        pixels: `(height, width, channels)`.
        shape: The new height and width.

    Raises:
        ValueError: The image is larger.

    Example:
        >>> filled(np.ones((2, 3, 1)), (3, 4))[..., 0].astype(int).tolist()
        [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    """
    below, right = (want - have for want, have in zip(shape, pixels.shape[:2], strict=True))
    if below < 0 or right < 0:
        raise ValueError(f"an image of {pixels.shape[:2]} does not fit into {shape}")
    return np.pad(pixels, ((0, below), (0, right), (0, 0)))
