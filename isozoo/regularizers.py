"""The penalty that keeps convolutions near isometries."""

from __future__ import annotations

import keras
from keras import ops

from isozoo.orthogonality import METHODS, fastest, polyphase, smaller_side_first

CONDITIONS = ("paper", "exact")


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def orthogonality_penalty(
    kernel,
    strides: int | tuple[int, int] = 1,
    condition: str = "paper",
    method: str | None = None,
    groups: int = 1,
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
            taps; `"fourier"`, one small complex matrix product per frequency; `"convolution"`, the
            paper's kernel-as-image form. The one with the fewest operations if None.
        groups: Groups of the convolution; the penalty is summed over them.

    Returns:
        A scalar tensor, at least 0.

    Raises:
        ValueError: The kernel is not of rank 4, a stride is below 1, `groups` does not divide the
            filters, or the condition or method is unknown.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020, equation 6.

    Example:
        >>> from isozoo.initializers import Delta
        >>> float(orthogonality_penalty(Delta()((3, 3, 8, 16))))
        0.0
        >>> round(float(orthogonality_penalty(2.0 * Delta()((3, 3, 8, 8)))), 4)
        36.0
    """
    kernel = ops.convert_to_tensor(kernel)
    kernel = ops.cast(kernel, keras.backend.result_type(kernel.dtype, "float32"))
    strides = _pair(strides)
    _check(tuple(kernel.shape), strides, condition, method, groups)
    if condition == "exact":
        kernel, strides = polyphase(kernel, strides), (1, 1)
    penalty = METHODS[method or fastest(tuple(kernel.shape[:2]), strides)]
    parts = [kernel] if groups == 1 else ops.split(kernel, groups, axis=-1)
    return sum(penalty(smaller_side_first(part), strides) for part in parts)


def _check(
    shape: tuple[int, ...],
    strides: tuple[int, int],
    condition: str,
    method: str | None,
    groups: int,
) -> None:
    if len(shape) != 4:
        raise ValueError(
            f"the orthogonality penalty is for 2-D convolution kernels "
            f"(height, width, channels, filters); got shape {shape}"
        )
    if min(strides) < 1:
        raise ValueError(f"strides must be at least 1, got {strides}")
    if condition not in CONDITIONS:
        raise ValueError(f"unknown condition '{condition}'; known: {', '.join(CONDITIONS)}")
    if method is not None and method not in METHODS:
        raise ValueError(f"unknown method '{method}'; known: {', '.join(METHODS)}")
    if groups < 1:
        raise ValueError(f"groups must be at least 1, got {groups}")
    if shape[-1] % groups:
        raise ValueError(f"{groups} groups do not divide {shape[-1]} filters")


@keras.saving.register_keras_serializable(package="isozoo")
class OrthogonalConv(keras.regularizers.Regularizer):
    r"""Regulariser that pulls a convolution towards an isometry.

    Adds `factor` times `orthogonality_penalty` to the loss; the paper's factor is 1e-4 (3e-4 for
    ISONet-101). Always computed in at least float32, also under mixed precision.

    Args:
        factor: Weight of the penalty in the loss, at least 0.
        strides: Strides of the convolution that the kernel belongs to.
        condition: `"paper"` or `"exact"`, see `orthogonality_penalty`.
        method: `"gram"`, `"fourier"` or `"convolution"`, equal to rounding; the fastest if None.
        groups: Groups of the convolution.

    Raises:
        ValueError: `factor` is negative, a stride or `groups` is below 1, or the condition or
            method is unknown.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020.

    Example:
        >>> layer = keras.layers.Conv2D(
        ...     8, 3, strides=2, kernel_regularizer=OrthogonalConv(1e-4, strides=2)
        ... )
        >>> layer.build((None, 32, 32, 4))
        >>> len(layer.losses)
        1
    """

    def __init__(
        self,
        factor: float = 1e-4,
        strides: int | tuple[int, int] = 1,
        condition: str = "paper",
        method: str | None = None,
        groups: int = 1,
    ):
        if factor < 0:
            raise ValueError(f"OrthogonalConv: factor must be at least 0, got {factor}")
        self.strides = _pair(strides)
        _check((1, 1, 1, groups), self.strides, condition, method, groups)
        self.factor = factor
        self.condition = condition
        self.method = method
        self.groups = groups

    def penalty(self, kernel):
        """Return the penalty of a kernel without the factor."""
        return orthogonality_penalty(kernel, self.strides, self.condition, self.method, self.groups)

    def __call__(self, x):
        """Return `factor` times the penalty of the kernel `x`."""
        return self.factor * self.penalty(x)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            "factor": self.factor,
            "strides": list(self.strides),
            "condition": self.condition,
            "method": self.method,
            "groups": self.groups,
        }


def is_constrained(layer: keras.layers.Conv2D) -> bool:
    """Return whether the paper constrains a convolution: all but those on raw images.

    The convolutions of isozoo's networks know their role (`isometric`). Others are told by their
    kernels, as in the authors' code: it passes over 7x7 kernels and those on three channels.

    Args:
        layer: A built convolution.

    Example:
        >>> first, second = keras.layers.Conv2D(8, 3), keras.layers.Conv2D(8, 3)
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), first, second])
        >>> is_constrained(first), is_constrained(second)
        (False, True)
    """
    stated = getattr(layer, "isometric", None)
    if stated is not None:
        return stated
    height, width, channels = layer.kernel.shape[:3]
    return (height, width) != (7, 7) and channels > 3


def convolutions(model: keras.Model) -> list[keras.layers.Conv2D]:
    """Return the 2-D convolutions of a model, nested models included, in the order of layers."""
    found: list[keras.layers.Conv2D] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found.extend(convolutions(layer))
        elif isinstance(layer, keras.layers.Conv2D):
            found.append(layer)
    return found


def model_penalty(model: keras.Model, condition: str = "paper", method: str | None = None):
    """Return the total penalty of a model's convolutions, without any factor.

    It measures networks that were trained without the penalty too, and is 0 for an isometric
    network at its start.

    Args:
        model: Any built Keras model; convolutions that `is_constrained` refuses are left out.
        condition: See `orthogonality_penalty`.
        method: See `orthogonality_penalty`.

    Returns:
        A scalar tensor; 0 if the model has no constrained convolution.

    Example:
        >>> inputs = keras.Input((8, 8, 4))
        >>> conv = keras.layers.Conv2D(4, 1, kernel_regularizer=OrthogonalConv(0.5))
        >>> model = keras.Model(inputs, conv(inputs))
        >>> abs(float(0.5 * model_penalty(model) - sum(model.losses))) < 1e-6
        True
    """
    return sum(
        (
            orthogonality_penalty(layer.kernel, layer.strides, condition, method, layer.groups)
            for layer in convolutions(model)
            if is_constrained(layer)
        ),
        start=ops.zeros(()),
    )
