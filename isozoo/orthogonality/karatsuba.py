"""The penalty of short phases from sums of taps: fewer products than there are pairs of taps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.orthogonality.derivative import with_gradient
from isozoo.orthogonality.gram import gram
from isozoo.orthogonality.phases import frequency_grid, phase_sizes, taps_of

#: By the taps along an axis: the sums of taps, each row's opposite as far from the end, and the
#: lags from -1 to 1, or 0 alone, as sums of the products of each row with its opposite. With two
#: taps, K0 K1' is lag 1, K1 K0' lag -1, and (K0 + K1)(K0 + K1)' the sum of all three lags.
SUMS: dict[int, tuple[np.ndarray, np.ndarray]] = {
    1: (np.array([[1]]), np.array([[1]])),
    2: (
        np.array([[1, 0], [1, 1], [0, 1]]),
        np.array([[0, 0, 1], [-1, 1, -1], [1, 0, 0]]),
    ),
}


def karatsuba(kernel: Any, strides: tuple[int, int]) -> Any:
    """Karatsuba's way to multiply polynomials, of which taps are the coefficients.

    Along an axis of two taps three products do for four, and of those two are each other's
    transpose: 14 products for a phase of 2x2 taps with the gradient, where `gram` has 32. All sums
    are of whole numbers of taps. For longer phases it would need fractions, and `gram` is taken.
    """
    sizes = phase_sizes(tuple(kernel.shape[:2]), strides)
    if max(max(size) for size in sizes) > 2:
        return gram(kernel, strides)
    n, r = kernel.shape[2:]
    plan = _Plan.of(tuple(kernel.shape[:2]), strides, keras.backend.standardize_dtype(kernel.dtype))

    def forward(flat):
        first, own, second = (ops.reshape(ops.matmul(rows, flat), (-1, n, r)) for rows in plan.rows)
        squares = ops.matmul(own, flipped(own))
        products = ops.matmul(first, flipped(second))
        lags = mixed(plan.of_squares, squares) + mixed(plan.of_products, products)
        lags = lags + mixed(plan.of_flipped, flipped(products))
        lags = lags - ops.multiply(plan.zero, ops.eye(n, dtype=lags.dtype))
        value = ops.sum(ops.multiply(plan.weights, ops.square(lags)))
        return value, (first, own, second, lags)

    def backward(_, known):
        first, own, second, lags = known
        by_square, by_product = (
            mixed(ahead.T, lags) + mixed(behind.T, flipped(lags))
            for ahead, behind in (
                (plan.of_squares, plan.behind(plan.of_squares)),
                (plan.of_products, plan.behind(plan.of_flipped)),
            )
        )
        parts = (
            ops.matmul(by_product, second),
            ops.matmul(by_square, own),
            ops.matmul(flipped(by_product), first),
        )
        gradients = (
            ops.matmul(2.0 * rows.T, ops.reshape(part, (len(rows), n * r)))
            for rows, part in zip(plan.rows, parts, strict=True)
        )
        return [sum(gradients)]

    return with_gradient(forward, backward)(ops.reshape(kernel, (-1, n * r)))


def mixed(matrix: np.ndarray, grams: Any) -> Any:
    """Return the sums of n x n matrices `(count, n, n)` that each row of `matrix` says."""
    # No -1: there may be no matrices.
    flat = ops.reshape(grams, (matrix.shape[1], math.prod(grams.shape[1:])))
    return ops.reshape(ops.matmul(matrix, flat), (-1, *grams.shape[1:]))


def flipped(matrices: Any) -> Any:
    """Return the transpose of each matrix."""
    return ops.transpose(matrices, (0, 2, 1))


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The sums of a kernel's taps, and how the distinct lags, 0 first, are made of products.

    Sums come in three: `first` and, in the same order, their opposites `second`; between them
    those that are their own opposite. The constants are NumPy's, as in `fourier.Transform`.
    """

    rows: tuple[np.ndarray, np.ndarray, np.ndarray]  # (sums, taps): first, own, second
    of_squares: np.ndarray  # (lags, own)
    of_products: np.ndarray  # (lags, first): by what first * second' enters
    of_flipped: np.ndarray  # (lags, first): by what its transpose, second * first', does
    zero: np.ndarray  # (lags, 1, 1): 1 at lag 0
    weights: np.ndarray  # (lags, 1, 1): half of how often the lag or its opposite occurs

    @classmethod
    def of(cls, size: tuple[int, int], strides: tuple[int, int], dtype: str) -> _Plan:
        """Return the plan for kernels whose phases have one or two taps along each axis."""
        grid = frequency_grid(phase_sizes(size, strides))
        rows, mixes = [], []
        for taps in taps_of(size, strides):
            sums, lags = zip(*(SUMS[len(places)] for places in taps), strict=True)
            spread = np.zeros((math.prod(map(len, sums)), *size))
            spread[:, *np.ix_(*taps)] = np.kron(*sums).reshape(-1, *map(len, taps))
            # The lags of a shorter phase are those in the middle.
            mix = np.zeros((*grid, len(spread)))
            inside = tuple(
                slice((all_lags - len(own)) // 2, (all_lags + len(own)) // 2)
                for all_lags, own in zip(grid, lags, strict=True)
            )
            mix[inside] = np.kron(*lags).reshape(*map(len, lags), -1)
            rows.append(spread.reshape(len(spread), -1))
            mixes.append(mix.reshape(-1, len(spread))[math.prod(grid) // 2 :])

        first, own, second = _thirds(rows, axis=0, dtype=dtype)
        of_products, of_squares, of_flipped = _thirds(mixes, axis=1, dtype=dtype)
        zero = (np.arange(len(of_squares)) == 0)[:, None, None]
        return cls(
            rows=(first, own, second),
            of_squares=of_squares,
            of_products=of_products,
            of_flipped=of_flipped,
            zero=zero.astype(dtype),
            weights=np.where(zero, 0.5, 1.0).astype(dtype),
        )

    @staticmethod
    def behind(mix: np.ndarray) -> np.ndarray:
        """Return what lags give to the sums' opposites; lag 0 is counted as its own already."""
        return np.concatenate([np.zeros_like(mix[:1]), mix[1:]])


def _thirds(parts: list[np.ndarray], axis: int, dtype: str) -> list[np.ndarray]:
    """Return of each array the slices before its middle, in it, and from the end to it."""
    choices: list[Callable[[int], Sequence[int]]] = [
        lambda size: range(size // 2),
        lambda size: [size // 2],
        lambda size: range(size - 1, size // 2, -1),
    ]
    return [
        np.concatenate(
            [np.take(part, choose(part.shape[axis]), axis=axis) for part in parts], axis=axis
        ).astype(dtype)
        for choose in choices
    ]
