"""Kernels at random, and slow ways to compute what is said of them."""

import itertools
import math

import numpy as np
from hypothesis import strategies as st


@st.composite
def kernels(draw, side=5, channels=8, strides=3, groups=3):
    """Draw a float64 kernel `(kh, kw, C / groups, M)`, its strides and its groups."""
    groups = draw(st.integers(1, groups))
    shape = [draw(st.integers(1, side)) for _ in "hw"]
    shape += [draw(st.integers(1, channels)), groups * draw(st.integers(1, channels // groups))]
    kernel = np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape)
    pair = draw(st.tuples(st.integers(1, strides), st.integers(1, strides)))
    return kernel / math.sqrt(np.prod(shape[:3])), pair, groups


def by_loops(kernel: np.ndarray, strides: tuple[int, int]) -> float:
    """The formula of the paper's rule, lag by lag and tap by tap."""
    if kernel.shape[2] >= kernel.shape[3]:
        kernel = kernel.swapaxes(2, 3)
    (kh, kw, n, _), total = kernel.shape, 0.0
    for dy, dx in itertools.product(range(1 - kh, kh), range(1 - kw, kw)):
        if dy % strides[0] or dx % strides[1]:
            continue
        gram = -np.eye(n) if dy == dx == 0 else np.zeros((n, n))
        for y, x in itertools.product(range(kh), range(kw)):
            if 0 <= y + dy < kh and 0 <= x + dx < kw:
                gram += kernel[y, x] @ kernel[y + dy, x + dx].T
        total += (gram**2).sum() / 2
    return total


def dense(kernel: np.ndarray, strides: tuple[int, int], groups: int) -> tuple[np.ndarray, int]:
    """The circular convolution as a matrix, and the number of its output positions.

    The image is so large that two taps on the stride grid meet at one lag only.
    """
    kh, kw, per_group, filters = kernel.shape
    rows, columns = (2 * math.ceil(k / s) - 1 for k, s in zip((kh, kw), strides, strict=True))
    shape = (rows * strides[0], columns * strides[1], per_group * groups)
    matrix = np.zeros((rows, columns, filters, *shape))
    for i, j, y, x, m in itertools.product(*map(range, (rows, columns, kh, kw, filters))):
        first = m // (filters // groups) * per_group
        at = ((i * strides[0] + y) % shape[0], (j * strides[1] + x) % shape[1])
        matrix[(i, j, m, *at)][first : first + per_group] += kernel[y, x, :, m]
    return matrix.reshape(rows * columns * filters, -1), rows * columns
