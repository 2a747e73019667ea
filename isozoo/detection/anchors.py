"""Anchors: boxes of several shapes around every position of every feature map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Detectron2's: side of a square anchor in pixels, by the level of the feature pyramid.
SIZES = {"P2": 32, "P3": 64, "P4": 128, "P5": 256, "P6": 512}
#: Height by width.
RATIOS = (0.5, 1.0, 2.0)


def stride(level: str) -> int:
    """Return the pixels between the positions of a level such as `"P3"`.

    Example:
        >>> stride("P3")
        8
    """
    return 2 ** int(level[1:])


def anchors(
    shapes: Mapping[str, tuple[int, int]],
    sizes: Mapping[str, float] = SIZES,
    ratios: Sequence[float] = RATIOS,
) -> dict[str, Any]:
    r"""Return the anchors of every level of a feature pyramid.

    Around position $(i, j)$ of a level of stride $s$, anchors of area $a^2$ and ratio $r$ have the
    centre $(s j, s i)$, width $a / \sqrt r$ and height $a \sqrt r$.

    Args:
        shapes: Height and width of the feature map of each level.
        sizes: $a$ by level, in pixels of the image.
        ratios: $r$, height by width.

    Returns:
        By level, an array `(height * width * ratios, 4)` of boxes, float32; those of one position
        stand together, rows of positions one after another.

    Raises:
        ValueError: A level has no size, or a ratio or a size is not positive.

    Reference:
        Ren et al., Faster R-CNN, NeurIPS 2015; Lin et al., Feature Pyramid Networks, CVPR 2017.

    Example:
        >>> anchors({"P3": (1, 2)}, {"P3": 64}, ratios=[1.0])["P3"].tolist()
        [[-32.0, -32.0, 32.0, 32.0], [-24.0, -32.0, 40.0, 32.0]]
    """
    lacking = [level for level in shapes if level not in sizes]
    if lacking:
        raise ValueError(f"no anchor size for {', '.join(lacking)}; sizes has {', '.join(sizes)}")
    bad = [
        value for value in (*sizes.values(), *ratios) if not (math.isfinite(value) and value > 0)
    ]
    if bad or not ratios:
        raise ValueError(f"sizes and ratios must be positive, got {bad or 'no ratios'}")
    return {
        level: _level(height, width, stride(level), sizes[level], ratios)
        for level, (height, width) in shapes.items()
    }


def _level(height: int, width: int, step: int, size: float, ratios: Sequence[float]) -> np.ndarray:
    widths = size / np.sqrt(np.asarray(ratios, np.float64))
    half = np.stack([widths, widths * ratios], axis=-1) / 2
    y, x = np.mgrid[:height, :width] * step
    centres = np.stack([x, y], axis=-1)[:, :, None]
    found = np.concatenate([centres - half, centres + half], axis=-1)
    return found.reshape(-1, 4).astype(np.float32)
