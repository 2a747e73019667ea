r"""Exact singular values of convolutions, and how far these are from isometries.

A convolution on periodic images commutes with shifts, so that the Fourier transform takes it apart:
at each frequency it is one small matrix between channels, and its singular values are those of all
these matrices. Of a strided convolution, all input frequencies that the stride makes look alike
(aliases) go into one output frequency; their matrices stand side by side.

Everything here is NumPy in float64 and needs no Keras.

Reference:
    Sedghi, Gupta and Long, "The Singular Values of Convolutional Layers", ICLR 2019.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

#: Bytes of the matrices that are decomposed at once.
CHUNK_BYTES = 32 * 2**20


class Distance(NamedTuple):
    r"""How far an operator $M$, such as $A^\top A$, is from the identity of its $n$ dimensions.

    Attributes:
        spectral: $\lVert M - I \rVert_2$, the largest gain or loss of energy of any signal.
        frobenius: $\lVert M - I \rVert_F / \sqrt n$, that of the dimensions in root mean square.
            The root of $n$ makes layers of different sizes compare.
    """

    spectral: float
    frobenius: float


@dataclasses.dataclass(frozen=True)
class Convolution:
    r"""A convolution of periodic images, as a linear operator $A$.

    $$y_{p, o} = \sum_{t, i} K_{t, i, o}\, x_{s p + d t, i}$$

    with stride $s$, dilation $d$ and positions modulo the image's size. Which pixel the window
    begins at does not change the singular values.

    Args:
        kernel: `(height, width, input channels / groups, output channels)`; of a convolution by
            depth, `groups` is the number of input channels.
        size: Height and width of the input images; multiples of the strides. Smaller ones than the
            kernel are allowed, whose taps then wrap around.
        strides: Rows and columns between windows.
        dilation: Rows and columns between taps.
        groups: Groups of channels that do not see each other.

    Raises:
        ValueError: An argument is out of its range or does not fit the others.

    Reference:
        Sedghi, Gupta and Long, "The Singular Values of Convolutional Layers", ICLR 2019.

    Example:
        >>> delta = np.zeros((3, 3, 2, 4))
        >>> delta[1, 1] = np.eye(2, 4)
        >>> conv = Convolution(delta, (8, 8))
        >>> conv.singular_values().round(12).tolist() == [1.0] * 128
        True
        >>> bool(conv.distance().spectral < 1e-12)  # from 2 to 4 channels it keeps every norm
        True
        >>> conv.adjoint_distance()  # but its adjoint loses half of the dimensions
        Distance(spectral=1.0, frobenius=0.70...)
    """

    kernel: np.ndarray
    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        if np.ndim(self.kernel) != 4 or not np.size(self.kernel):
            raise ValueError(
                "a kernel is (height, width, input channels / groups, output channels), got the "
                f"shape {np.shape(self.kernel)}"
            )
        for name in ("size", "strides", "dilation"):
            if len(pair := getattr(self, name)) != 2 or min(pair) < 1:
                raise ValueError(f"{name} must be two numbers of at least 1, got {pair}")
        if self.groups < 1 or self.filters % self.groups:
            raise ValueError(
                f"{self.groups} groups do not divide {self.filters} filters; give a divisor"
            )
        for length, stride in zip(self.size, self.strides, strict=True):
            if length % stride:
                raise ValueError(
                    f"on periodic images a stride divides the size, but {self.strides} does not "
                    f"divide {self.size}; give a size that is a multiple"
                )

    @property
    def filters(self) -> int:
        """Number of output channels."""
        return self.kernel.shape[3]

    @property
    def inputs(self) -> int:
        """Number $n$ of dimensions of the input: of pixels times channels."""
        return self.size[0] * self.size[1] * self.kernel.shape[2] * self.groups

    @property
    def outputs(self) -> int:
        """Number $m$ of dimensions of the output."""
        return self._positions * self.filters

    @property
    def _positions(self) -> int:
        return (self.size[0] // self.strides[0]) * (self.size[1] // self.strides[1])

    def singular_values(self, chunk_bytes: int = CHUNK_BYTES) -> np.ndarray:
        """Return all `min(inputs, outputs)` singular values.

        Args:
            chunk_bytes: About how much memory the matrices that are decomposed at once may take,
                beside one frequency's.

        Returns:
            Float64, descending.
        """
        found = [
            np.repeat(np.linalg.svd(matrices, compute_uv=False), counts, axis=0).ravel()
            for matrices, counts in self._matrices(chunk_bytes)
        ]
        values = np.sort(np.concatenate(found))[::-1]
        return np.pad(values, (0, min(self.inputs, self.outputs) - len(values)))

    def distance(self, values: np.ndarray | None = None) -> Distance:
        r"""Return how far $A^\top A$ is from the identity: 0 if $A$ keeps every norm.

        Where the output has fewer dimensions than the input, as in down-sampling, some are lost and
        the spectral distance is at least 1; see `nearest_distance`.

        Args:
            values: What `singular_values` returned, where it is known.
        """
        return self._distance(values, self.inputs)

    def adjoint_distance(self, values: np.ndarray | None = None) -> Distance:
        r"""Return how far $A A^\top$ is from the identity: 0 if $A^\top$ keeps every norm.

        $A^\top$ is what gradients pass on their way back.

        Args:
            values: What `singular_values` returned, where it is known.
        """
        return self._distance(values, self.outputs)

    def nearest_distance(self, values: np.ndarray | None = None) -> Distance:
        """Return the distance of the side with fewer dimensions, which can be 0 for every shape.

        Args:
            values: What `singular_values` returned, where it is known.
        """
        return self._distance(values, min(self.inputs, self.outputs))

    def _distance(self, values: np.ndarray | None, dimensions: int) -> Distance:
        values = self.singular_values() if values is None else values
        excess = np.square(values) - 1.0
        # Dimensions without a singular value are lost: their eigenvalue is 0, which is 1 away.
        lost = dimensions - len(values)
        spectral = max(np.abs(excess).max(), 1.0 if lost else 0.0)
        frobenius = np.sqrt((np.square(excess).sum() + lost) / dimensions)
        return Distance(float(spectral), float(frobenius))

    def _matrices(self, chunk_bytes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield matrices at some frequencies, and how many frequencies have their values.

        Matrices are `(frequencies, groups, aliases * channels, filters)`, of one group each. A
        single tap sees no wave: its matrix is real, the same at all frequencies, and the aliases,
        which are alike, add nothing but singular values of 0.
        """
        height, width, channels, filters = self.kernel.shape
        if height == width == 1:
            alone = np.asarray(self.kernel, np.float64).reshape(channels, self.groups, -1)
            yield alone.transpose(1, 0, 2)[None], np.array([self._positions])
            return
        down, across = (
            _waves(*axis)
            for axis in zip((height, width), self.size, self.strides, self.dilation, strict=True)
        )
        taps = np.asarray(self.kernel, np.float64).reshape(height * width, channels * filters)
        aliases = self.strides[0] * self.strides[1]
        places, counts = _different((len(down), len(across)))
        counts = counts * (self._positions // (len(down) * len(across)))
        step = max(1, chunk_bytes // (16 * aliases * channels * filters))
        for start in range(0, len(places), step):
            row, column = places[start : start + step].T
            waves = np.einsum("fat,fbs->fabts", down[row], across[column])
            found = waves.reshape(len(row) * aliases, -1) @ taps
            found = found.reshape(len(row), aliases * channels, self.groups, -1)
            # The transforms of input and output are unitary, of different lengths.
            found /= np.sqrt(aliases)
            yield found.transpose(0, 2, 1, 3), counts[start : start + step]


def _waves(taps: int, size: int, stride: int, dilation: int) -> np.ndarray:
    """Return an axis's waves at the taps, `(output frequencies, aliases, taps)`.

    Along a single tap all frequencies are alike, and one stands for them.
    """
    outputs = size // stride
    frequencies = np.arange(outputs if taps > 1 else 1)
    aliased = frequencies[:, None] + outputs * np.arange(stride)
    turns = aliased[:, :, None] * (dilation * np.arange(taps)) % size
    return np.exp(2j * np.pi * turns / size)


def _different(grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies of a grid but for opposites, `(count, 2)`, and how many each is.

    A real kernel's matrices at opposite frequencies are conjugate and have the same values.
    """
    every = np.array(list(np.ndindex(*grid)))
    order, opposite = every @ [grid[1], 1], (-every % grid) @ [grid[1], 1]
    kept = order <= opposite
    return every[kept], np.where(order == opposite, 1, 2)[kept]
