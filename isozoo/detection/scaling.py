"""Pictures of any size as images of a few sizes, and boxes back in pixels of the pictures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Scaling:
    """How large a picture becomes: its short side `short`, but its long side at most `long`.

    Images are filled up with zeros, at the right and below, to one of two shapes for wide and high
    pictures, so that a network is compiled for two shapes only. Detectron2 fills up to the largest
    picture of a batch.

    Args:
        short: Length of the short side.
        long: Largest length of the long side, at least `short`.
        divisor: Sides of images are multiples of it.

    Raises:
        ValueError: Not 1 <= `short` <= `long`, or `divisor` is below 1.

    Example:
        >>> scaling = Scaling(512, 864)
        >>> scaling.factor(480, 640), scaling.shape(480, 640), scaling.shape(640, 480)
        (1.0666666666666667, (512, 864), (864, 512))
    """

    short: int = 800
    long: int = 1333
    divisor: int = 32

    def __post_init__(self) -> None:
        """Refuse what is no size."""
        if not 1 <= self.short <= self.long or self.divisor < 1:
            raise ValueError(
                "a scaling needs 1 <= short <= long and a positive divisor, got "
                f"short={self.short}, long={self.long}, divisor={self.divisor}"
            )

    def factor(self, height: int, width: int) -> float:
        """Return by what a picture is enlarged."""
        return min(self.short / min(height, width), self.long / max(height, width))

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the filled up image of a picture."""
        short, long = (
            math.ceil(side / self.divisor) * self.divisor for side in (self.short, self.long)
        )
        return (long, short) if height > width else (short, long)

    def scaled(self, pixels: np.ndarray) -> tuple[np.ndarray, float]:
        """Return a picture in its new size, not filled up, and by what it was enlarged.

        Args:
            pixels: uint8 `(height, width, 3)`.
        """
        height, width = pixels.shape[:2]
        factor = self.factor(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)), factor


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
