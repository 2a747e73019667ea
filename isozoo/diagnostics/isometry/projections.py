r"""The largest singular values of an operator that is known by its products only.

Randomised projection: the operator $J$ is applied to random vectors, their images are made
orthonormal, and the small matrix that $J$ is in that basis is decomposed. Powers of $J J^\top$
in between make the large singular values stand out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

#: More vectors than singular values that are asked for.
OVERSAMPLING = 10
#: How often J J^T is applied.
POWERS = 3
#: How often J or its transpose is applied in all, to all vectors at once.
APPLICATIONS = 3 + 2 * POWERS

Product = Callable[[np.ndarray], np.ndarray]


class Singular(NamedTuple):
    """What is known of an operator.

    Args:
        values: Its largest singular values, the largest first, `(count,)`.
        errors: For each, how far the nearest true singular value is at most, but for rounding.
        frobenius: Estimate of its Frobenius norm.
        frobenius_error: Standard error of that; 0 if it is exact.
        exact: Whether these are all its singular values but zeros.
    """

    values: np.ndarray
    errors: np.ndarray
    frobenius: float
    frobenius_error: float
    exact: bool


def singular_values(
    forward: Product,
    backward: Product,
    shape: tuple[int, int],
    count: int = 10,
    seed: int = 0,
) -> Singular:
    r"""Return the largest singular values of $J$, without $J$.

    With at most `count` + 10 rows or columns all of them are found from all of $J$'s rows or
    columns. Otherwise each value has an error bound $\lVert J v - \sigma u \rVert$: there is a true
    singular value within it. It is small where values stand apart or fall off; those of an exact
    isometry are all 1, and so is every estimate.

    Args:
        forward: From vectors as columns `(columns, k)` to $J$ times them, `(rows, k)`.
        backward: From `(rows, k)` to $J^\top$ times them, `(columns, k)`.
        shape: Rows and columns of $J$.
        count: How many singular values, at least 1.
        seed: Of the random vectors.

    Returns:
        The values, their errors, and the Frobenius norm.

    Reference:
        Halko, Martinsson and Tropp, "Finding Structure with Randomness", SIAM Review 2011.

    Example:
        >>> matrix = np.diag(0.5 ** np.arange(50))
        >>> found = singular_values(lambda v: matrix @ v, lambda u: matrix.T @ u, (50, 50), 3)
        >>> found.values.round(3), found.exact
        (array([1.  , 0.5 , 0.25]), False)
    """
    rows, columns = shape
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    size = count + OVERSAMPLING
    if min(shape) <= size:
        dense = backward(np.eye(rows)) if rows <= columns else forward(np.eye(columns))
        values = np.linalg.svd(dense, compute_uv=False)
        norm = float(np.linalg.norm(values))
        return Singular(values[:count], np.zeros(min(count, len(values))), norm, 0.0, True)
    drawn = np.random.default_rng(seed).normal(size=(columns, size))
    images = forward(drawn)
    # E |J g|^2 is the square of the Frobenius norm for a normal g.
    squares = np.square(images).sum(axis=0)
    frobenius = float(np.sqrt(squares.mean()))
    deviation = float(squares.std(ddof=1) / np.sqrt(size) / (2 * frobenius)) if frobenius else 0.0
    basis = _orthonormal(images)
    for _ in range(POWERS):
        basis = _orthonormal(forward(_orthonormal(backward(basis))))
    left, values, right = np.linalg.svd(backward(basis).T, full_matrices=False)
    left, right = basis @ left[:, :count], right[:count].T
    errors = np.linalg.norm(forward(right) - left * values[:count], axis=0)
    return Singular(values[:count], errors, frobenius, deviation, False)


def _orthonormal(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.qr(vectors)[0]
