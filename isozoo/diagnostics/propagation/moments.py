r"""Moments and effective rank of what a network carries.

Every tensor is a set of rows, one for each image and position, of one number per channel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

#: Names of what `power_means` returns, in its order.
POWERS = ("nu1_abs", "nu2", "nu4", "mu2", "mu4")

# Beyond these exponents the factor itself would leave the range of float32.
_FURTHEST = 120


class Scaled(NamedTuple):
    """A tensor that stands for itself times a power of two.

    Powers of two are exact in floating point: rescaling changes no digit of any result, and values
    that equalled the hinge of an activation go on to equal it.

    Args:
        tensor: What is stored, its largest absolute value about 1.
        exponent: The tensor stands for `tensor * 2**exponent`.
    """

    tensor: keras.KerasTensor
    exponent: int = 0

    def rescaled(self) -> Scaled:
        """Return an equal value whose stored tensor is near 1, so that no power overflows."""
        largest = float(ops.max(ops.absolute(self.tensor)))
        if largest == 0.0 or not math.isfinite(largest):
            return self
        shift = max(-_FURTHEST, min(_FURTHEST, math.frexp(largest)[1]))
        return Scaled(self.tensor * 2.0**-shift, self.exponent + shift)

    def at(self, exponent: int):
        """Return the tensor that stands for the same value with another, larger exponent."""
        return self.tensor * 2.0 ** max(self.exponent - exponent, -1000)


def as_rows(x, axis: int = -1):
    """Return a tensor as `(rows, channels)`, in at least float32.

    Args:
        x: Tensor of any rank from 1.
        axis: The channel axis.
    """
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    return ops.reshape(ops.moveaxis(x, axis, -1), (-1, x.shape[axis]))


def power_means(rows) -> np.ndarray:
    r"""Return the moments of a tensor of rows.

    $$\nu_k = \overline{x^k}, \qquad \mu_k = \overline{(x - \bar x_c)^k}$$

    with means over batch, positions and channels, and $\bar x_c$ the mean of a channel.

    Args:
        rows: Tensor `(rows, channels)`.

    Returns:
        $\nu_1(|x|)$, $\nu_2$, $\nu_4$, $\mu_2$ and $\mu_4$, as float64.

    Reference:
        Labatie, "Characterizing Well-Behaved vs. Pathological Deep Neural Networks", ICML 2019.

    Example:
        >>> power_means(ops.convert_to_tensor([[1.0, 2.0], [3.0, 2.0]])).tolist()
        [2.0, 4.5, 28.5, 0.5, 0.5]
    """
    centred = rows - ops.mean(rows, axis=0, keepdims=True)
    square, centred_square = rows * rows, centred * centred
    means = (
        ops.absolute(rows),
        square,
        square * square,
        centred_square,
        centred_square * centred_square,
    )
    # Stacked, so that only one transfer waits for the device.
    found = ops.stack([ops.mean(each) for each in means])
    return ops.convert_to_numpy(found).astype("float64")


def mean_square(rows) -> float:
    """Return the mean of the squares."""
    return float(ops.mean(rows * rows))


def effective_rank(rows) -> float:
    r"""Return the effective rank of a tensor of rows.

    $$r_{\text{eff}} = \frac{\sum_i \lambda_i}{\max_i \lambda_i}$$

    with $\lambda$ the eigenvalues of the covariance of the channels. It is between 1 and the
    smaller of the channels and of the rows less one.

    Args:
        rows: Tensor `(rows, channels)`.

    Returns:
        The rank, or NaN for rows that are all equal up to rounding, which have no direction, and if
        something is not finite.

    Reference:
        Labatie, ICML 2019, section 3; Vershynin, "Introduction to the non-asymptotic analysis of
        random matrices", 2010.

    Example:
        >>> round(effective_rank(ops.convert_to_tensor([[1.0, 0.0], [-1.0, 0.0]])), 6)
        1.0
    """
    centred = rows - ops.mean(rows, axis=0, keepdims=True)
    # Once more, as the mean of many rows is rounded too.
    centred = centred - ops.mean(centred, axis=0, keepdims=True)
    # Both products have the same eigenvalues other than 0; only the smaller is needed.
    wide = rows.shape[0] < rows.shape[1]
    product = ops.matmul(centred, ops.transpose(centred)) if wide else None
    product = ops.matmul(ops.transpose(centred), centred) if product is None else product
    gram = ops.convert_to_numpy(product).astype("float64")
    if not np.isfinite(gram).all():
        return math.nan
    total = float(np.trace(gram))
    # Of rows that are equal, their mean differs by rounding, in a direction that is none of theirs.
    rounding = 8.0 * float(np.finfo(keras.backend.standardize_dtype(rows.dtype)).eps)
    if total <= rounding**2 * mean_square(rows) * math.prod(rows.shape):
        return math.nan
    # Not a decomposition by keras.ops: backends differ in the precisions that they have it for.
    return total / float(np.linalg.eigvalsh(gram)[-1])


#: Names of what `measured` returns, in its order. Logarithms are natural ones.
MEASURED = (*(f"log_{name}" for name in POWERS), "log_mu2_noise", "reff_signal", "reff_noise")


def measured(signal: Scaled, noise: Scaled, ranked: bool = True, axis: int = -1) -> np.ndarray:
    """Return the moments of a signal and its noise, as logarithms, and their effective ranks.

    Args:
        signal: Tensor of any rank from 1.
        noise: Tensor of the same shape.
        ranked: Whether the effective ranks are computed, the dear part; else they are NaN.
        axis: The channel axis.

    Returns:
        Numbers in the order of `MEASURED`.
    """
    signal, noise = signal.rescaled(), noise.rescaled()
    rows, noise_rows = as_rows(signal.tensor, axis), as_rows(noise.tensor, axis)
    degrees = np.array([1, 2, 4, 2, 4]) * signal.exponent
    with np.errstate(divide="ignore"):
        powers = np.log(power_means(rows)) + degrees * math.log(2.0)
        spread = np.log(mean_square(noise_rows)) + 2 * noise.exponent * math.log(2.0)
    ranks = (effective_rank(rows), effective_rank(noise_rows)) if ranked else (math.nan,) * 2
    return np.array([*powers, spread, *ranks])
