"""How the images of a batch are mixed with each other: mixup and CutMix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixing:
    """What each image of a batch keeps of itself; its partner has the rest.

    Args:
        pixels: Part of each pixel's value, in [0, 1].
        label: Part of the label, in [0, 1].
        box: Rows and columns that are the partner's alone.
    """

    pixels: float = 1.0
    label: float = 1.0
    box: tuple[slice, slice] = (slice(0, 0), slice(0, 0))


def draw_mixing(mixup: float, cutmix: float, size: int, rng: np.random.Generator) -> Mixing:
    r"""Draw how one batch is mixed.

    Mixup keeps $\lambda \sim \operatorname{Beta}(a, a)$ of each pixel and of the label. CutMix
    replaces a box whose sides are $\sqrt{1 - \lambda}$ of the picture's and whose centre is
    anywhere in it; what lies outside of the picture is cut off, and the label keeps the part of the
    area that is left. Where both are wanted, each batch has one of them, by an even chance.

    Args:
        mixup: The a of mixup; 0 for none.
        cutmix: The a of CutMix; 0 for none.
        size: Side of the pictures.
        rng: Source of randomness.

    Returns:
        The mixing; with both 0, one that keeps all.

    Reference:
        Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018; Yun et al., "CutMix:
        Regularization strategy to train strong classifiers with localizable features", ICCV 2019.

    Example:
        >>> mixing = draw_mixing(0.0, 1.0, 8, np.random.default_rng(0))
        >>> mixing.pixels, mixing.label, mixing.box
        (1.0, 0.875, (slice(0, 4, None), slice(0, 2, None)))
    """
    if mixup and cutmix:
        mixup, cutmix = (mixup, 0.0) if rng.random() < 0.5 else (0.0, cutmix)
    if mixup:
        kept = float(rng.beta(mixup, mixup))
        return Mixing(kept, kept)
    if not cutmix:
        return Mixing()
    half = int(size * math.sqrt(1 - rng.beta(cutmix, cutmix))) // 2
    centres = rng.integers(size, size=2).tolist()
    top, left = (max(0, centre - half) for centre in centres)
    bottom, right = (min(size, centre + half) for centre in centres)
    area = (bottom - top) * (right - left)
    return Mixing(1.0, 1 - area / size**2, (slice(top, bottom), slice(left, right)))


def paste_boxes(images: np.ndarray, box: tuple[slice, slice]) -> None:
    """Give each image the box of its partner, which stands as far from the other end, in place.

    Args:
        images: Any type, `(batch, height, width, channels)`.
        box: Rows and columns.

    Example:
        >>> images = np.arange(3).reshape(3, 1, 1, 1) * np.ones((1, 1, 2, 1), int)
        >>> paste_boxes(images, (slice(0, 1), slice(1, 2)))
        >>> images[:, 0, :, 0].tolist()
        [[0, 2], [1, 1], [2, 0]]
    """
    images[:, *box] = images[::-1, *box].copy()
