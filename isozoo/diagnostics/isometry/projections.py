r"""The largest singular values of an operator that is known by its products only.

Block Krylov iteration: the operator $J$ is applied to random vectors, then $J J^\top$ again and
again, all that comes out is made orthonormal and kept, and the small matrix that $J$ is in that
basis is decomposed. What is kept, and not only the last block, tells a single value that stands out
of many equal ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

#: More vectors than singular values that are asked for.
OVERSAMPLING = 10
#: How often J J^T is applied.
POWERS = 3
#: A direction shorter than this share of its block's longest is rounding.
_NEW = 1e-10
#: How often J or its transpose is applied in all, to all vectors at once.
APPLICATIONS = 3 + 2 * POWERS

Product = Callable[[np.ndarray], np.ndarray]


class Singular(NamedTuple):
    """What is known of an operator.

    Args:
        values: Its largest singular values, the largest first, `(count,)`; each at most the true
            one.
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
    columns. Otherwise each value is at most the true one at its place, but for rounding, and has an
    error bound $\lVert J v - \sigma u \rVert$: there is a true singular value within it, though not
    surely the one at its place. It is small where values stand apart or fall off; those of an
    exact isometry are all 1, and so is every estimate.

    Args:
        forward: From vectors as columns `(columns, k)` to $J$ times them, `(rows, k)`.
        backward: From `(rows, k)` to $J^\top$ times them, `(columns, k)`.
        shape: Rows and columns of $J$.
        count: How many singular values, at least 1.
        seed: Of the random vectors.

    Returns:
        The values, their errors, and the Frobenius norm.

    Reference:
        Musco and Musco, "Randomized Block Krylov Methods for Stronger and Faster Approximate
        Singular Value Decomposition", NeurIPS 2015.

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
    basis, pulled = _krylov(forward, backward, images)
    left, values, right = np.linalg.svd(pulled.T, full_matrices=False)
    left, right = basis @ left[:, :count], right[:count].T
    errors = np.linalg.norm(forward(right) - left * values[:count], axis=0)
    return Singular(values[:count], errors, frobenius, deviation, False)


def _krylov(
    forward: Product, backward: Product, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return an orthonormal basis of all that powers of J J^T make of images, and J^T times it."""
    basis = block = np.linalg.qr(images)[0]
    pulled = latest = backward(block)
    for _ in range(POWERS):
        block = _beyond(basis, forward(np.linalg.qr(latest)[0]))
        if not block.shape[1]:
            break
        latest = backward(block)
        basis, pulled = np.hstack([basis, block]), np.hstack([pulled, latest])
    return basis, pulled


def _beyond(basis: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of what vectors add to a basis, of no columns if nothing."""
    room = basis.shape[0] - basis.shape[1]
    left, sizes, _ = np.linalg.svd(vectors - basis @ (basis.T @ vectors), full_matrices=False)
    new = left[:, sizes > _NEW * np.linalg.norm(vectors)][:, :room]
    # Once more, as short vectors have kept some of the basis by rounding.
    return np.linalg.qr(new - basis @ (basis.T @ new))[0]
