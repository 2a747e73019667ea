"""Masks in the frame of their boxes laid into pictures."""

from __future__ import annotations

import numpy as np

#: Boxes narrower than this, in pixels, hold nothing.
LEAST_EXTENT = 1e-3


def paste(mask: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return where an object is in a picture.

    The mask's values lie in the middles of its cells and are interpolated bilinearly in the middle
    of each pixel, with 0 around the mask, as in detectron2.

    Args:
        mask: `(side, side)` probabilities in [0, 1].
        box: `(4,)`: left, top, right and bottom in pixels.
        height: The picture's.
        width: The picture's.

    Returns:
        `(height, width)`, bool: where the probability is at least one half.

    Example:
        >>> paste(np.ones((2, 2)), np.array([1, 0, 3, 2]), 2, 4).astype(int).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    left, top, right, bottom = (float(side) for side in box)
    side = mask.shape[0]
    # Only pixels that the mask reaches are computed: it may be small in a large picture.
    found = np.zeros((height, width), bool)
    margin_y, margin_x = (bottom - top) / side, (right - left) / side
    rows = _pixels(top - margin_y, bottom + margin_y, height)
    columns = _pixels(left - margin_x, right + margin_x, width)
    if min(bottom - top, right - left) > LEAST_EXTENT:
        in_rows = _weights(rows, top, bottom, side)
        in_columns = _weights(columns, left, right, side)
        found[np.ix_(rows, columns)] = in_rows @ mask @ in_columns.T >= 0.5
    return found


def _pixels(low: float, high: float, length: int) -> np.ndarray:
    return np.arange(max(0, int(np.floor(low))), min(length, int(np.ceil(high))))


def _weights(pixels: np.ndarray, low: float, high: float, side: int) -> np.ndarray:
    """Return how much each cell of a mask counts in each pixel, `(pixels, side)`."""
    places = (pixels + 0.5 - low) / (high - low) * side - 0.5
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(side)))
