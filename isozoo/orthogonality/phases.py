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


def smaller_side_first(kernel: Any) -> Any:
    """Return the kernel as `(height, width, n, r)` with n the smaller of its two channel counts."""
    return kernel if kernel.shape[2] < kernel.shape[3] else ops.transpose(kernel, (0, 1, 3, 2))


def phases_of(kernel: Any, strides: tuple[int, int]) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return the kernel's phases, the taps on each shift of the stride's grid, and their sizes."""
    sizes = phase_sizes(tuple(kernel.shape[:2]), strides)
    starts = itertools.product(
        *(range(min(pair)) for pair in zip(strides, kernel.shape[:2], strict=True))
    )
    return [kernel[y :: strides[0], x :: strides[1]] for y, x in starts], sizes


def phase_sizes(size: tuple[int, int], strides: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the rows and columns of each phase, the first of them the largest."""
    lengths = (
        [len(range(phase, length, stride)) for phase in range(min(stride, length))]
        for length, stride in zip(size, strides, strict=True)
    )
    return [(rows, columns) for rows, columns in itertools.product(*lengths)]


def frequency_grid(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the coarsest grid of frequencies that tells all lags of the largest phase apart."""
    return 2 * sizes[0][0] - 1, 2 * sizes[0][1] - 1
