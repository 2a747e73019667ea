"""A kernel brought into the form that the methods take, and its phases by the stride."""

from __future__ import annotations

import itertools
import math
from typing import Any

from keras import ops


def polyphase(kernel: Any, strides: tuple[int, int]) -> Any:
    """Rewrite a strided convolution as one of stride 1 over `sh * sw` times the channels.

    Tap (s * i + a) of channel c becomes tap i of channel (a, c); the kernel is padded with zeros
    to a multiple of the stride.
    """
    (kh, kw, inputs, outputs), (sh, sw) = kernel.shape, strides
    rows, columns = math.ceil(kh / sh), math.ceil(kw / sw)
    kernel = ops.pad(kernel, [(0, rows * sh - kh), (0, columns * sw - kw), (0, 0), (0, 0)])
    kernel = ops.reshape(kernel, (rows, sh, columns, sw, inputs, outputs))
    kernel = ops.transpose(kernel, (0, 2, 1, 3, 4, 5))
    return ops.reshape(kernel, (rows, columns, sh * sw * inputs, outputs))


def smaller_side_first(kernel: Any, strides: tuple[int, int]) -> Any:
    """Return the kernel as `(height, width, n, r)` with n the smaller of its two channel counts.

    Of equal ones n is the filters'; not for stride 1, where both sides give the same penalty.
    """
    inputs, filters = kernel.shape[2:]
    as_it_is = inputs < filters or (inputs == filters and strides == (1, 1))
    return kernel if as_it_is else ops.transpose(kernel, (0, 1, 3, 2))


def taps_of(size: tuple[int, int], strides: tuple[int, int]) -> list[tuple[range, range]]:
    """Return the rows and columns of taps of each phase: those on one shift of the stride's grid.

    Example:
        >>> taps_of((1, 3), (2, 2))
        [(range(0, 1, 2), range(0, 3, 2)), (range(0, 1, 2), range(1, 3, 2))]
    """
    axes = (
        [range(start, length, stride) for start in range(min(stride, length))]
        for length, stride in zip(size, strides, strict=True)
    )
    return list(itertools.product(*axes))  # pyright: ignore[reportReturnType]


def phase_sizes(size: tuple[int, int], strides: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the numbers of rows and columns of taps of each phase, the largest first."""
    return [(len(rows), len(columns)) for rows, columns in taps_of(size, strides)]


def phases_of(kernel: Any, strides: tuple[int, int]) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return the phases of a kernel, each a kernel of stride 1, and their sizes."""
    size = tuple(kernel.shape[:2])
    sizes = phase_sizes(size, strides)
    if sizes == [size]:
        return [kernel], sizes  # a slice of everything would be a copy
    starts = [(rows.start, columns.start) for rows, columns in taps_of(size, strides)]
    return [kernel[y :: strides[0], x :: strides[1]] for y, x in starts], sizes


def frequency_grid(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the coarsest grid of frequencies that tells all lags of the largest phase apart."""
    return 2 * sizes[0][0] - 1, 2 * sizes[0][1] - 1
