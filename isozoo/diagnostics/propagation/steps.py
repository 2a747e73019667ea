r"""The steps that carry a signal and an infinitely small noise through a simulated layer.

If $x$ is the signal, the noise is $\mathrm{d}x$: what is left of a small change of the input when
each step is replaced by its derivative at $x$.

They are written with `keras.ops`, and not with NumPy: nearly all of the time is spent in
convolutions, which the three backends have faster than NumPy, and on accelerators too. What is
drawn and what is small (kernels, eigenvalues of a covariance, curves, fits) is NumPy's, so that
seeds give the same networks on each backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from keras import ops

from isozoo.diagnostics.propagation.kinds import HINGES, NORMALIZATIONS, Kind, Statistics
from isozoo.diagnostics.propagation.moments import Scaled
from isozoo.layers.normalization import largest_divisor


class Carried(NamedTuple):
    """Signal and noise at one place of a network.

    Args:
        signal: `(batch, height, width, channels)`.
        noise: Of the same shape.
    """

    signal: Scaled
    noise: Scaled

    def rescaled(self) -> Carried:
        """Return equal values, stored near 1."""
        return Carried(self.signal.rescaled(), self.noise.rescaled())


def _periodic(x, size: int):
    """Append the last `size - 1` rows and columns in front, as the original does: on one side."""
    x = ops.concatenate([x[:, x.shape[1] - size + 1 :], x], axis=1)
    return ops.concatenate([x[:, :, x.shape[2] - size + 1 :], x], axis=2)


def _symmetric(x, size: int):
    half = (size - 1) // 2
    return ops.pad(x, [(0, 0), (half, half), (half, half), (0, 0)], mode="symmetric")


#: How an image is continued beyond its edges, then the padding that is left to the convolution.
BOUNDARIES: Mapping[str, tuple[Callable, str]] = {
    "periodic": (_periodic, "valid"),
    "symmetric": (_symmetric, "valid"),
    "zero": (lambda x, size: x, "same"),
}


def convolution(carried: Carried, kernel, boundary: str, stride: int = 1) -> Carried:
    """Convolve signal and noise with the same kernel, without a bias.

    Args:
        carried: Signal and noise.
        kernel: `(height, width, inputs, outputs)`, as high as wide.
        boundary: Key of `BOUNDARIES`.
        stride: Step in pixels.
    """
    extend, padding = BOUNDARIES[boundary]
    size = kernel.shape[0]

    def convolved(x: Scaled) -> Scaled:
        tensor = extend(x.tensor, size) if size > 1 else x.tensor
        return Scaled(
            ops.conv(tensor, kernel, stride, padding, data_format="channels_last"), x.exponent
        )

    return Carried(convolved(carried.signal), convolved(carried.noise))


def standardize(
    x, dx, statistics: Statistics, epsilon: float, differentiated: bool = False
) -> tuple:
    """Return a signal with one set of statistics normalised away, and what becomes of its noise.

    Args:
        x: Signal `(batch, height, width, channels)`.
        dx: Noise, of the same shape.
        statistics: What is normalised over.
        epsilon: Added to the variance.
        differentiated: Whether the noise changes the statistics.
    """
    batch, height, width, channels = shape = x.shape
    groups = channels if statistics.groups == -1 else largest_divisor(channels, statistics.groups)
    axes = [0, 1, 2, 4] if statistics.over_batch else [1, 2, 4]
    grouped = (batch, height, width, groups, channels // groups)
    x, dx = ops.reshape(x, grouped), ops.reshape(dx, grouped)
    x = x - ops.mean(x, axis=axes, keepdims=True)
    deviation = ops.sqrt(ops.mean(x * x, axis=axes, keepdims=True) + epsilon)
    x = x / deviation
    if differentiated:
        dx = dx - ops.mean(dx, axis=axes, keepdims=True)
        dx = dx - x * ops.mean(x * dx, axis=axes, keepdims=True)
    return ops.reshape(x, shape), ops.reshape(dx / deviation, shape)


def normalization(
    carried: Carried, name: str, epsilon: float, differentiated: bool = False
) -> Carried:
    r"""Normalise the signal; divide the noise by the deviation of the signal.

    $$z = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
    \mathrm{d}z = \frac{\mathrm{d}x}{\sqrt{\sigma^2 + \epsilon}}$$

    Args:
        carried: Signal and noise.
        name: Row of `NORMALIZATIONS`.
        epsilon: Added to the variance.
        differentiated: Whether the noise also changes the statistics, which the second formula
            takes for constants. Over a batch they hardly are anything else; over one image they
            depend on it.
    """
    # In the units of the stored signal; one so small as to reach the limit is 0 after division.
    stored_epsilon = epsilon * 4.0 ** min(-carried.signal.exponent, 60)
    signal, noise = 0.0, 0.0
    for each in NORMALIZATIONS[name]:
        x, dx = standardize(
            carried.signal.tensor, carried.noise.tensor, each, stored_epsilon, differentiated
        )
        signal, noise = signal + each.share * x, noise + each.share * dx
    # The deviation it was divided by stands for itself times the power of two of the signal.
    return Carried(Scaled(signal), Scaled(noise, carried.noise.exponent - carried.signal.exponent))


def activation(carried: Carried, name: str) -> Carried:
    """Apply `max(x, hinge)`; the noise passes where the signal is above the hinge."""
    hinge = HINGES[name] * 2.0 ** min(-carried.signal.exponent, 120)
    signal, noise = carried
    passes = ops.cast(signal.tensor > hinge, signal.tensor.dtype)
    return Carried(
        Scaled(ops.maximum(signal.tensor, hinge), signal.exponent),
        Scaled(noise.tensor * passes, noise.exponent),
    )


def _sum(first: Scaled, second: Scaled, scale: float) -> Scaled:
    exponent = max(first.exponent, second.exponent)
    return Scaled(first.at(exponent) + scale * second.at(exponent), exponent)


def addition(skip: Carried, branch: Carried, scale: float = 1.0) -> Carried:
    """Add what a branch carries, times a factor, to what its shortcut does."""
    return Carried(*(_sum(a, b, scale) for a, b in zip(skip, branch, strict=True)))


class Setting(NamedTuple):
    """What the steps of a simulated network have in common.

    Args:
        boundary: Key of `BOUNDARIES`.
        epsilon: Added to the variances of normalisations.
        differentiated: See `normalization`.
    """

    boundary: str = "periodic"
    epsilon: float = 1e-3
    differentiated: bool = False


#: The steps of a layer, by name: from what is carried, the kind, the setting and the kernel.
STEPS: Mapping[str, Callable[[Carried, Kind, Setting, Callable], Carried]] = {
    "convolution": lambda carried, kind, setting, kernel: convolution(
        carried, kernel(), setting.boundary
    ),
    "normalization": lambda carried, kind, setting, kernel: normalization(
        carried, kind.normalization, setting.epsilon, setting.differentiated
    ),
    "activation": lambda carried, kind, setting, kernel: activation(carried, kind.activation),
}
