"""The penalty of one kernel: how far its convolution is from an isometry."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from isozoo.orthogonality import (
    METHODS,
    PROBE,
    draw_images,
    fastest,
    polyphase,
    probe,
    smaller_side_first,
)
from isozoo.orthogonality.tracing import traced

CONDITIONS = ("paper", "exact")


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return strides as a pair, one of each axis; whole numbers are checked for elsewhere."""
    return (value[0], value[1]) if isinstance(value, (tuple, list)) else (value, value)


def orthogonality_penalty(
    kernel,
    strides: int | tuple[int, int] = 1,
    condition: str = "paper",
    method: str | None = None,
    groups: int = 1,
    probes: int | None = None,
    seed: int | keras.random.SeedGenerator | None = None,
):
    r"""Return how far a convolution is from an isometry.

    $$\tfrac12 \sum_{d \in s\mathbb Z^2} \lVert G_d - [d = 0]\,I \rVert_F^2, \qquad
    G_d = \sum_t K_t K_{t+d}^{\mathsf T}$$

    with $G_d$ the Gram matrix, over the smaller channel side, of the kernel with itself shifted by
    lag $d$. With stride 1 it is 0 exactly when the convolution, or its adjoint where there are
    fewer filters than channels, keeps norms; with other strides that is so of `"exact"`.

    The lags are the multiples of the stride, lag 0 among them, for every kernel size. The authors'
    code counts them from the kernel's edge, which is the same unless the stride does not divide
    `size - 1` (even kernels with stride 2, 3x3 with stride 3); there it can miss lag 0.

    Args:
        kernel: Tensor `(height, width, channels / groups, filters)`; computed in float32, or in
            float64 if it is float64.
        strides: Strides of the convolution.
        condition: `"paper"` is the authors' rule: the smaller channel count, lags on the stride
            grid. `"exact"` is the true condition for strided kernels, where the input side has
            `channels * strides ** 2` phases; the two agree for stride 1, and wherever there are
            at most as many filters as channels.
        method: How it is computed, equal to rounding: `"gram"`, matrix products over pairs of
            taps; `"fourier"`, one small complex matrix product per frequency; `"karatsuba"`, fewer
            products over sums of taps, for phases of two; `"convolution"`, the paper's
            kernel-as-image form. The fastest if None. `"probe"` is an unbiased estimate of it, and
            of its gradient, from random images.
        groups: Groups of the convolution; the penalty is summed over them.
        probes: Number of random images of `"probe"`, at least 1; 1 if None.
        seed: Where `"probe"` draws its images from: an integer for the same at every call, a
            `keras.random.SeedGenerator` for others at each, or Keras's global one if None.

    Returns:
        A scalar tensor, at least 0.

    Raises:
        ValueError: The kernel is not of rank 4, a stride, `groups` or `probes` is no whole number
            from 1, `groups` does not divide the filters, the condition or method is unknown, or
            `probes` is given to another method than `"probe"`.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020, equation 6.

    Example:
        >>> from isozoo.initializers import Delta
        >>> float(orthogonality_penalty(Delta()((3, 3, 8, 16))))
        0.0
        >>> round(float(orthogonality_penalty(2.0 * Delta()((3, 3, 8, 8)))), 4)
        36.0
    """
    return prepared_penalty(kernel, strides, condition, method, groups, probes, seed)()


def prepared_penalty(
    kernel,
    strides: int | tuple[int, int],
    condition: str,
    method: str | None,
    groups: int,
    probes: int | None,
    seed: int | keras.random.SeedGenerator | None,
) -> Callable[[], Any]:
    """Return a function that computes `orthogonality_penalty`, the random images drawn already.

    So the generator's state moves on outside of the branch in which the function may be called.
    """
    kernel = ops.convert_to_tensor(kernel)
    kernel = ops.cast(kernel, penalty_dtype(kernel))
    strides = pair(strides)
    check_options(tuple(kernel.shape), strides, condition, method, groups, probes)
    if condition == "exact":
        kernel, strides = polyphase(kernel, strides), (1, 1)
    parts = [kernel] if groups == 1 else ops.split(kernel, groups, axis=-1)
    parts = [smaller_side_first(part, strides) for part in parts]
    if method == PROBE:
        # One draw for all groups, so that the generator counts the calls.
        drawn = draw_images(parts[0], strides, groups * (probes or 1), seed)
        images = ops.split(drawn, groups, axis=2)
        return lambda: sum(
            probe(part, strides, image) for part, image in zip(parts, images, strict=True)
        )
    name = method or fastest(tuple(kernel.shape[:2]), strides)
    dtype = keras.backend.standardize_dtype(kernel.dtype)
    compute = traced(name, tuple(parts[0].shape), dtype, strides)
    return lambda: sum(compute(part) for part in parts)


def penalty_dtype(kernel) -> str:
    """Return the dtype that a kernel's penalty is computed in."""
    # Not Keras's result_type, which on PyTorch never answers float64.
    return "float64" if keras.backend.standardize_dtype(kernel.dtype) == "float64" else "float32"


def check_options(
    shape: tuple[int, ...],
    strides: tuple[int, int],
    condition: str,
    method: str | None,
    groups: int,
    probes: int | None,
) -> None:
    """Refuse options of `orthogonality_penalty` that mean nothing."""
    if len(shape) != 4:
        raise ValueError(
            f"the orthogonality penalty is for 2-D convolution kernels "
            f"(height, width, channels, filters); got shape {shape}"
        )
    check_whole("strides", *strides)
    if condition not in CONDITIONS:
        raise ValueError(f"unknown condition '{condition}'; known: {', '.join(CONDITIONS)}")
    known = (*METHODS, PROBE)
    if method is not None and method not in known:
        raise ValueError(f"unknown method '{method}'; known: {', '.join(known)}")
    check_whole("groups", groups)
    if shape[-1] % groups:
        raise ValueError(f"{groups} groups do not divide {shape[-1]} filters")
    if probes is not None and method != PROBE:
        raise ValueError(
            f"probes means nothing to method {method!r}, only to '{PROBE}'; remove it or choose it"
        )
    if probes is not None:
        check_whole("probes", probes)


def check_whole(name: str, *values: int) -> None:
    """Refuse anything but whole numbers from 1."""
    given = values[0] if len(values) == 1 else values
    if any(isinstance(value, bool) or not isinstance(value, numbers.Integral) for value in values):
        raise ValueError(f"{name} must be whole, got {given!r}")
    if min(values) < 1:
        raise ValueError(f"{name} must be at least 1, got {given}")
