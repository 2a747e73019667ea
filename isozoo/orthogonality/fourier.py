"""The penalty as the distance from unitary at each frequency."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.orthogonality.phases import frequency_grid, phases_of


def fourier(kernel: Any, strides: tuple[int, int]) -> Any:
    """The distance from unitary at each frequency, by five products of real matrices for each.

    With K_f the transformed kernel, of which a strided kernel's phases are further channels, and
    w_f Parseval's weights, the sum is that of w_f/2 || K_f K_f* - I ||^2 and its gradient the
    transform of 2 w_f (K_f K_f* - I) K_f back.
    """
    n, r = kernel.shape[2:]
    phases, sizes = phases_of(kernel, strides)
    centre = (kernel.shape[0] // 2 // strides[0], kernel.shape[1] // 2 // strides[1])
    dtype = keras.backend.standardize_dtype(kernel.dtype)
    transform = Transform.of(sizes, centre, (n, r), dtype)

    @ops.custom_gradient
    def penalty(*flat):
        real, imaginary = transform.forward(flat)
        # K K* by two real products: its real part is symmetric, its imaginary part antisymmetric.
        both, half = real + imaginary, ops.matmul(imaginary, ops.transpose(real, (0, 2, 1)))
        flipped = ops.transpose(half, (0, 2, 1))
        symmetric = ops.matmul(both, ops.transpose(both, (0, 2, 1))) - half - flipped
        symmetric = symmetric - ops.eye(n, dtype=real.dtype)
        antisymmetric = half - flipped
        squares = ops.square(symmetric) + ops.square(antisymmetric)
        value = 0.5 * ops.sum(ops.multiply(transform.weights, squares))

        def gradient(*args, upstream=None):
            scale = 2.0 * (args[-1] if upstream is None else upstream)
            # Gauss: a complex product by three real ones.
            first = ops.matmul(symmetric + antisymmetric, real)
            second = ops.matmul(symmetric, imaginary - real)
            third = ops.matmul(antisymmetric, real + imaginary)
            return tuple(scale * part for part in transform.back(first - third, first + second))

        return value, gradient

    return penalty(*(ops.reshape(phase, (-1, n * r)) for phase in phases))


@dataclasses.dataclass(frozen=True)
class Transform:
    """The Fourier transform of a kernel's phases at the distinct frequencies.

    Of each pair of opposite frequencies, whose Grams are conjugate, one is kept and counts twice.
    Angles are taken about the kernel's centre, so that a Delta kernel becomes exactly 1. The
    constants are arrays of NumPy: tensors that a `custom_gradient` closes over are lost inside of
    `ops.cond` on JAX.
    """

    weights: np.ndarray  # (frequencies, 1, 1)
    bases: list[tuple[np.ndarray, np.ndarray]]  # of each phase: (frequencies, taps)
    positions: tuple[np.ndarray, np.ndarray]  # the same of the whole grid, (frequencies, positions)
    shape: tuple[int, int, int]  # (frequencies, n, r)

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
        opposite = -every % grid
        # In the order of a flattened grid, so that of each pair the earlier one is kept.
        order, other = every @ [grid[1], 1], opposite @ [grid[1], 1]
        kept, weights = every[order <= other], np.where(order == other, 1.0, 2.0)[order <= other]

        def basis(places: np.ndarray) -> tuple[Any, Any]:
            turns = 2 * np.pi * (kept / grid) @ places.T
            return np.cos(turns).astype(dtype), np.sin(turns).astype(dtype)

        bases = [basis(np.array(list(np.ndindex(*size))) - centre) for size in sizes]
        weights = (weights[:, None, None] / np.prod(grid)).astype(dtype)
        return cls(weights, bases, basis(every), (len(kept), *channels))

    def forward(self, flat) -> tuple[Any, Any]:
        """Take phases `(taps, n * r)` to real and imaginary `(frequencies, n, phases * r)`."""
        parts = [
            [ops.reshape(ops.matmul(basis, part), self.shape) for basis in pair]
            for pair, part in zip(self.bases, flat, strict=True)
        ]
        real, imaginary = (ops.concatenate(part, axis=2) for part in zip(*parts, strict=True))
        return real, -imaginary

    def of_images(self, images: Any) -> tuple[Any, Any]:
        """Take images `(positions, n, count)` to real and imaginary `(frequencies, n, count)`."""
        flat = ops.reshape(images, (images.shape[0], -1))
        cosines, sines = (
            ops.reshape(ops.matmul(basis, flat), (-1, *images.shape[1:]))
            for basis in self.positions
        )
        return cosines, -sines

    def back(self, real: Any, imaginary: Any) -> list[Any]:
        """Apply the transpose of `forward`, each frequency weighted."""
        count, n, r = self.shape
        phases = len(self.bases)
        parts = [
            ops.split(ops.multiply(self.weights, part), phases, axis=2)
            for part in (real, -imaginary)
        ]
        return [
            sum(
                ops.matmul(ops.transpose(basis), ops.reshape(part[phase], (count, n * r)))
                for basis, part in zip(pair, parts, strict=True)
            )
            for phase, pair in enumerate(self.bases)
        ]
