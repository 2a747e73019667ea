"""The penalty that keeps convolutions near isometries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import keras
from keras import ops

CONDITIONS = ("paper", "exact")


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _lags(size: int, stride: int) -> range:
    """Return the multiples of `stride` at which a kernel side of `size` taps overlaps itself."""
    reach = (size - 1) // stride * stride
    return range(-reach, reach + 1, stride)


def _polyphase(kernel, strides: tuple[int, int]):
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


def _small_side_first(kernel):
    """Return the kernel as `(kh, kw, n, r)` with n the smaller of its two channel counts."""
    return kernel if kernel.shape[2] < kernel.shape[3] else ops.transpose(kernel, (0, 1, 3, 2))


def _lag_grams(flat, size: tuple[int, int], strides: tuple[int, int], n: int) -> dict:
    """Return the channel Gram of the kernel at each distinct lag, minus the identity at lag 0.

    `flat` is `(kh * kw * n, r)`. One matrix product gives the Grams of all pairs of taps; those
    with the same lag are added. The Gram at -d is the transpose of the one at d and is left out.
    """
    kh, kw = size
    pairs = ops.reshape(ops.matmul(flat, ops.transpose(flat)), (kh, kw, n, kh, kw, n))
    grams = {}
    for dy, dx in itertools.product(_lags(kh, strides[0]), _lags(kw, strides[1])):
        if (dy, dx) >= (0, 0):
            taps = itertools.product(range(kh - dy), range(max(0, -dx), kw - max(0, dx)))
            grams[dy, dx] = sum(pairs[y, x, :, y + dy, x + dx, :] for y, x in taps)
    grams[0, 0] = grams[0, 0] - ops.eye(n, dtype=flat.dtype)
    return grams


def _gram(kernel, strides: tuple[int, int]):
    """Channel Grams over distinct lags by one matrix product, and the gradient by another.

    With D_d the Gram at lag d minus the identity at lag 0, the gradient is
    2 * sum_d D_d K_{t+d}: a block Toeplitz matrix times the kernel.
    """
    kernel = _small_side_first(kernel)
    kh, kw, n, r = kernel.shape

    @ops.custom_gradient
    def penalty(flat):
        grams = _lag_grams(flat, (kh, kw), strides, n)
        weights = {lag: 0.5 if lag == (0, 0) else 1.0 for lag in grams}
        value = sum(weights[lag] * ops.sum(ops.square(gram)) for lag, gram in grams.items())

        def gradient(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient by position, PyTorch by name.
            upstream = args[-1] if upstream is None else upstream
            return upstream * 2.0 * ops.matmul(_block_toeplitz(grams, (kh, kw), n), flat)

        return value, gradient

    return penalty(ops.reshape(kernel, (kh * kw * n, r)))


def _block_toeplitz(grams: dict, size: tuple[int, int], n: int):
    """Return the `(taps * n, taps * n)` matrix whose block (t, u) is the Gram at lag u - t."""
    both = {**{(-dy, -dx): ops.transpose(gram) for (dy, dx), gram in grams.items()}, **grams}
    nothing = ops.zeros((n, n), dtype=grams[0, 0].dtype)
    taps = list(itertools.product(range(size[0]), range(size[1])))
    rows = [
        ops.concatenate([both.get((v - y, w - x), nothing) for v, w in taps], axis=1)
        for y, x in taps
    ]
    return ops.concatenate(rows, axis=0)


def _convolution(kernel, strides: tuple[int, int]):
    """The paper's form: the kernel convolved with itself as a padded image."""
    kernel = _small_side_first(kernel)
    kh, kw, n, _ = kernel.shape
    # Padding by the largest lag that lies on the stride grid puts lag 0 on the output grid.
    reach = [-_lags(size, stride)[0] for size, stride in zip((kh, kw), strides, strict=True)]
    image = ops.transpose(kernel, (2, 0, 1, 3))
    image = ops.pad(image, [(0, 0), (reach[0], reach[0]), (reach[1], reach[1]), (0, 0)])
    gram = ops.conv(
        image,
        ops.transpose(kernel, (0, 1, 3, 2)),
        strides=strides,
        padding="valid",
        data_format="channels_last",
    )
    centre = [length // stride for length, stride in zip(reach, strides, strict=True)]
    identity = ops.reshape(ops.eye(n, dtype=kernel.dtype), (n, 1, 1, n))
    after = [gram.shape[axis + 1] - 1 - centre[axis] for axis in (0, 1)]
    identity = ops.pad(identity, [(0, 0), (centre[0], after[0]), (centre[1], after[1]), (0, 0)])
    return 0.5 * ops.sum(ops.square(gram - identity))


METHODS: dict[str, Callable] = {"gram": _gram, "convolution": _convolution}


def orthogonality_penalty(
    kernel,
    strides: int | tuple[int, int] = 1,
    condition: str = "paper",
    method: str = "gram",
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
        method: `"gram"`, matrix products over distinct lags; or `"convolution"`, the paper's
            kernel-as-image form. They are equal to rounding.
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
        >>> float(orthogonality_penalty(2.0 * Delta()((3, 3, 8, 8))))
        36.0
    """
    kernel = ops.convert_to_tensor(kernel)
    kernel = ops.cast(kernel, keras.backend.result_type(kernel.dtype, "float32"))
    strides = _pair(strides)
    _check(tuple(kernel.shape), strides, condition, method, groups)
    if condition == "exact":
        kernel, strides = _polyphase(kernel, strides), (1, 1)
    penalty = METHODS[method]
    return sum(penalty(part, strides) for part in ops.split(kernel, groups, axis=-1))


def _check(
    shape: tuple[int, ...], strides: tuple[int, int], condition: str, method: str, groups: int
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
    if method not in METHODS:
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
        method: `"gram"` or `"convolution"`, equal to rounding.
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
        method: str = "gram",
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


def model_penalty(model: keras.Model, condition: str = "paper", method: str = "gram"):
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
