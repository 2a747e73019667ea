"""The penalty as the distance from unitary at each frequency."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.orthogonality.derivative import with_gradient
from isozoo.orthogonality.phases import frequency_grid, phases_of


def fourier(kernel: Any, strides: tuple[int, int]) -> Any:
    """The distance from unitary at each frequency, by five products of real matrices for each.

    With K_f the transformed kernel, of which a strided kernel's phases are further channels, and
    w_f Parseval's weights, the sum is that of w_f/2 || K_f K_f* - I ||^2 and its gradient the
    transform of 2 w_f (K_f K_f* - I) K_f back. At frequency 0 everything is real, and two products
    are enough.
    """
    n, r = kernel.shape[2:]
    phases, transform = transformed(kernel, strides)
    weight = transform.weight

    def forward(*flat):
        mean, real, imaginary = transform.forward(flat)
        eye = ops.eye(n, dtype=mean.dtype)
        at_zero = ops.matmul(mean, ops.transpose(mean)) - eye
        # K K* by two real products: its real part is symmetric, its imaginary part antisymmetric.
        both, half = real + imaginary, ops.matmul(imaginary, ops.transpose(real, (0, 2, 1)))
        flipped = ops.transpose(half, (0, 2, 1))
        symmetric = ops.matmul(both, ops.transpose(both, (0, 2, 1))) - half - flipped - eye
        antisymmetric = half - flipped
        squares = ops.sum(ops.square(symmetric)) + ops.sum(ops.square(antisymmetric))
        value = weight * squares + 0.5 * weight * ops.sum(ops.square(at_zero))
        return value, ((mean, at_zero), (real, imaginary, both), (symmetric, antisymmetric))

    def backward(_, known):
        (mean, at_zero), (real, imaginary, both), (symmetric, antisymmetric) = known
        # Gauss: a complex product by three real ones.
        first = ops.matmul(symmetric + antisymmetric, real)
        second = ops.matmul(symmetric, imaginary - real)
        third = ops.matmul(antisymmetric, both)
        parts = transform.back(ops.matmul(at_zero, mean), first - third, first + second)
        return [2.0 * weight * part for part in parts]

    penalty = with_gradient(forward, backward)
    return penalty(*(ops.reshape(phase, (-1, n * r)) for phase in phases))


def transformed(kernel: Any, strides: tuple[int, int]) -> tuple[list[Any], Transform]:
    """Return a kernel's phases and their transform."""
    phases, sizes = phases_of(kernel, strides)
    centre = (kernel.shape[0] // 2 // strides[0], kernel.shape[1] // 2 // strides[1])
    dtype = keras.backend.standardize_dtype(kernel.dtype)
    return phases, Transform.of(sizes, centre, tuple(kernel.shape[2:]), dtype)


@dataclasses.dataclass(frozen=True)
class Transform:
    """The Fourier transform of a kernel's phases at the distinct frequencies.

    The grid has odd sides: frequency 0 is its own opposite, and of each other pair of opposite
    frequencies, whose Grams are conjugate, one is kept and counts twice. Angles are taken about the
    kernel's centre, so that a Delta kernel becomes exactly 1. The constants are arrays of NumPy:
    tensors that a `custom_gradient` closes over are lost inside of `ops.cond` on JAX.
    """

    weight: float  # of frequency 0 in Parseval's identity; the others have twice as much
    bases: list[tuple[np.ndarray, np.ndarray]]  # of each phase: (frequencies but 0, taps)
    positions: tuple[np.ndarray, np.ndarray]  # of the whole grid: (frequencies but 0, positions)
    channels: tuple[int, int]

    @classmethod
    def of(
        cls,
        sizes: list[tuple[int, int]],
        centre: tuple[int, int],
        channels: tuple[int, int],
        dtype: str,
    ) -> Transform:
        """Return the transform of phases of these sizes, whose angles are about `centre`."""
        grid = np.array(frequency_grid(sizes))
        every = np.array(list(np.ndindex(*grid)))
        # In the order of a flattened grid, so that of each pair the earlier one is kept.
        order, opposite = every @ [grid[1], 1], (-every % grid) @ [grid[1], 1]
        kept = every[order < opposite]

        def basis(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            turns = 2 * np.pi * (kept / grid) @ places.T
            return np.cos(turns).astype(dtype), -np.sin(turns).astype(dtype)

        bases = [basis(np.array(list(np.ndindex(*size))) - centre) for size in sizes]
        return cls(1.0 / float(np.prod(grid)), bases, basis(every), channels)

    def forward(self, flat) -> tuple[Any, Any, Any]:
        """Take phases `(taps, n * r)` to the frequencies, the channels of all phases together.

        Returns:
            Frequency 0 `(n, phases * r)`; the others' real and imaginary parts
            `(frequencies, n, phases * r)`.
        """
        mean = [ops.reshape(ops.sum(part, axis=0), self.channels) for part in flat]
        parts = [
            [ops.reshape(ops.matmul(basis, part), (-1, *self.channels)) for basis in pair]
            for pair, part in zip(self.bases, flat, strict=True)
        ]
        real, imaginary = (_joined(part, 2) for part in zip(*parts, strict=True))
        return _joined(mean, 1), real, imaginary

    def of_images(self, images: Any) -> tuple[Any, Any, Any]:
        """Take images `(positions, n, count)` to the frequencies, as `forward` takes kernels."""
        flat = ops.reshape(images, (images.shape[0], -1))
        real, imaginary = (
            ops.reshape(ops.matmul(basis, flat), (-1, *images.shape[1:]))
            for basis in self.positions
        )
        return ops.sum(images, axis=0), real, imaginary

    def back(self, mean: Any, real: Any, imaginary: Any) -> list[Any]:
        """Apply the transpose of `forward`, frequency 0 weighted by 1 and the others by 2."""
        phases, flat = len(self.bases), self.channels[0] * self.channels[1]
        split = [
            ops.split(part, phases, axis=axis) if phases > 1 else [part]
            for part, axis in ((mean, 1), (real, 2), (imaginary, 2))
        ]
        return [
            ops.reshape(at_zero, (1, flat))
            + ops.matmul(2.0 * cosines.T, ops.reshape(re, (-1, flat)))
            + ops.matmul(2.0 * sines.T, ops.reshape(im, (-1, flat)))
            for (cosines, sines), at_zero, re, im in zip(self.bases, *split, strict=True)
        ]


def _joined(parts, axis: int) -> Any:
    return ops.concatenate(parts, axis=axis) if len(parts) > 1 else parts[0]
