"""Random views of a training image: its crop, its colours, and how pairs are mixed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from isozoo.data.mixing import Mixing, draw_mixing
from isozoo.data.randaugment import rand_augment
from isozoo.errors import DataError

Resize = Callable[[Image.Image, tuple[int, int]], Image.Image]
"""Resizes a picture to `(width, height)`, as `Preprocessing.resize_picture` does."""

_ATTEMPTS = 10
# Of the erased box, as parts of the picture's area and as width / height (Zhong et al. 2020).
_ERASED_SCALE, _ERASED_RATIO = (0.02, 0.4), (0.3, 1 / 0.3)


@dataclass(frozen=True)
class Augment:
    """How training images are varied.

    With `crop_padding=None` a random box of the picture, `scale` of its area and of an aspect
    `ratio`, is resized to `size` (Szegedy et al. 2015, as torchvision's `RandomResizedCrop`). With
    a number, the picture is framed by that many black pixels on each side and a random `size`
    square is cut out without resizing, as is usual for CIFAR (He et al. 2015). Then, in this order,
    it may be mirrored, changed by RandAugment, have a box erased, and be mixed with another.

    Args:
        size: Side of the square result.
        scale: Smallest and largest area of the box, as parts of the picture's.
        ratio: Smallest and largest width / height of the box.
        flip: Whether half of the images are mirrored left to right.
        mixup: The a of Beta(a, a), from which one weight per batch is drawn to mix each image and
            its label with another of the batch (Zhang et al. 2018); 0 mixes nothing.
        cutmix: The a of CutMix, which mixes a box instead (Yun et al. 2019); 0 mixes nothing. With
            mixup too, each batch is mixed by one of them.
        crop_padding: Width of the black frame, or None for the resized box.
        randaugment: The operations applied to each picture, the N of RandAugment (Cubuk et al.
            2020); 0 for none.
        magnitude: Their strength, its M, in [0, 10].
        erasing: Probability that a random box is filled with noise (Zhong et al. 2020).

    Raises:
        ValueError: A number is outside its range.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET
        >>> pixels, rng = np.zeros((48, 60, 3), np.uint8), np.random.default_rng(0)
        >>> view = Augment(size=32)(pixels, rng, IMAGENET.resize_picture)
        >>> view.shape, view.dtype
        ((32, 32, 3), dtype('uint8'))
    """

    size: int
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    mixup: float = 0.0
    crop_padding: int | None = None
    cutmix: float = 0.0
    randaugment: int = 0
    magnitude: float = 9.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be a positive integer, not {self.size}")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be two rising parts in (0, 1], not {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two rising positive numbers, not {self.ratio}")
        for name in ("mixup", "cutmix", "randaugment"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be 0 or a positive number, not {getattr(self, name)}"
                )
        if not 0 <= self.magnitude <= 10:
            raise ValueError(f"magnitude must be in [0, 10], not {self.magnitude}")
        if not 0 <= self.erasing <= 1:
            raise ValueError(f"erasing must be a probability in [0, 1], not {self.erasing}")
        if self.crop_padding is not None and self.crop_padding < 0:
            raise ValueError(f"crop_padding must not be negative, not {self.crop_padding}")

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator, resize: Resize) -> np.ndarray:
        """Return one random view of a picture.

        Args:
            pixels: uint8 `(height, width, 3)`.
            rng: Source of randomness.
            resize: How a box becomes `(size, size)`; unused with `crop_padding`.

        Returns:
            uint8 `(size, size, 3)`.

        Raises:
            DataError: The framed picture is smaller than the crop.
        """
        if self.crop_padding is None:
            view = self._resized_box(pixels, rng, resize)
        else:
            view = self._framed_crop(pixels, rng, self.crop_padding)
        if self.flip and rng.random() < 0.5:
            view = view[:, ::-1]
        if self.randaugment:
            view = rand_augment(view, self.randaugment, self.magnitude, rng)
        if self.erasing and rng.random() < self.erasing:
            view = erased(view, rng)
        return view

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others of their batch."""
        return bool(self.mixup or self.cutmix)

    def mixing(self, rng: np.random.Generator) -> Mixing:
        """Draw how one batch is mixed.

        Args:
            rng: Source of randomness.
        """
        return draw_mixing(self.mixup, self.cutmix, self.size, rng)

    def _resized_box(
        self, pixels: np.ndarray, rng: np.random.Generator, resize: Resize
    ) -> np.ndarray:
        height, width = pixels.shape[:2]
        top, left, height, width = random_box(height, width, self.scale, self.ratio, rng)
        box = Image.fromarray(pixels[top : top + height, left : left + width])
        return np.asarray(resize(box, (self.size, self.size)))

    def _framed_crop(self, pixels: np.ndarray, rng: np.random.Generator, frame: int) -> np.ndarray:
        framed = np.pad(pixels, ((frame, frame), (frame, frame), (0, 0)))
        rooms = [length - self.size for length in framed.shape[:2]]
        if min(rooms) < 0:
            raise DataError(
                f"an image of {pixels.shape[0]}x{pixels.shape[1]} pixels framed by {frame} is "
                f"smaller than the {self.size}x{self.size} crop; lower the size or use "
                "crop_padding=None, which resizes"
            )
        top, left = (int(rng.integers(room + 1)) for room in rooms)
        return framed[top : top + self.size, left : left + self.size]


def random_box(
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Draw a box of random area and aspect inside a picture, as torchvision does.

    Area is uniform and aspect log-uniform; a box that does not fit is drawn again. After ten
    failures the largest central box with the nearest allowed aspect is taken.

    Args:
        height: Of the picture.
        width: Of the picture.
        scale: Smallest and largest part of the picture's area.
        ratio: Smallest and largest width / height.
        rng: Source of randomness.

    Returns:
        `(top, left, height, width)` of the box.

    Example:
        >>> import numpy as np
        >>> random_box(20, 30, (1.0, 1.0), (1.5, 1.5), np.random.default_rng(0))
        (0, 0, 20, 30)
    """
    logs = np.log(ratio)
    for _ in range(_ATTEMPTS):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(*logs))
        box_width = round(math.sqrt(area * aspect))
        box_height = round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = int(rng.integers(height - box_height + 1))
            left = int(rng.integers(width - box_width + 1))
            return top, left, box_height, box_width
    aspect = min(max(width / height, ratio[0]), ratio[1])
    box_width = min(width, max(1, round(height * aspect)))
    box_height = min(height, max(1, round(width / aspect)))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def erased(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture with a random box of it, 2 to 40 % of its area, filled with noise.

    Args:
        pixels: uint8 `(height, width, 3)`.
        rng: Source of randomness.

    Returns:
        uint8 `(height, width, 3)`, a copy.

    Reference:
        Zhong et al., "Random erasing data augmentation", AAAI 2020.

    Example:
        >>> import numpy as np
        >>> black = np.zeros((20, 20, 3), np.uint8)
        >>> int((erased(black, np.random.default_rng(0)) > 0).any(axis=-1).sum())
        112
    """
    shape = pixels.shape
    top, left, height, width = random_box(shape[0], shape[1], _ERASED_SCALE, _ERASED_RATIO, rng)
    view = pixels.copy()
    view[top : top + height, left : left + width] = rng.integers(
        256, size=(height, width, 3), dtype=np.uint8
    )
    return view
