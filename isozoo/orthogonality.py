r"""The orthogonality penalty of one kernel, computed in three equal ways.

Each way takes a kernel `(height, width, n, r)` with n the side that its Gram matrices are over, and
the stride of the grid that the lags lie on. With $G_d = \sum_t K_t K_{t+d}^T$, each returns

    1/2 * sum over d on the grid of || G_d - [d = 0] I ||^2

* `convolution`, the authors' form: the kernel convolved with itself as a padded image. Its cost is
  counted against here: 225 n^2 r multiply-adds for a 3x3 kernel, 675 with the gradient.
* `gram`: the Gram matrices of all pairs of taps by one matrix product, and the gradient by another:
  2 (taps)^2 n^2 r. Best for 1x1 kernels and strided ones.
* `fourier`: by Parseval, the same sum over the frequencies of a grid just fine enough to hold every
  lag, 5x5 for a 3x3 kernel, where each Gram is one small complex product: 65 n^2 r for 3x3.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

#: How many times fewer multiply-adds `fourier` must need to be preferred: a margin for what its
#: transforms cost, chosen and not fitted. `benchmarks/penalty.py` times every method.
GAIN = 1.3


def fastest(size: tuple[int, int], strides: tuple[int, int]) -> str:
    """Return the method that needs the fewest multiply-adds for a kernel of `size` taps.

    Example:
        >>> fastest((3, 3), (1, 1)), fastest((1, 1), (1, 1)), fastest((3, 3), (2, 2))
        ('fourier', 'gram', 'gram')
    """
    sizes = _phase_sizes(size, strides)
    by_gram = sum(2 * math.prod(phase) ** 2 for phase in sizes)
    by_fourier = 5 * len(sizes) * (math.prod(_grid(sizes)) + 1) // 2
    return "fourier" if GAIN * by_fourier < by_gram else "gram"


def gram(kernel: Any, strides: tuple[int, int]) -> Any:
    """Channel Grams over distinct lags by matrix products, and the gradient by others.

    Taps whose lag is on the stride's grid are those of equal phase, so each phase of the kernel is
    a kernel of stride 1 and their Grams add up. With D_d the Gram at lag d, minus the identity at
    lag 0, the gradient is 2 * sum_d D_d K_{t+d}: a block Toeplitz matrix times each phase.
    """
    n = kernel.shape[2]
    phases, sizes = _phases(kernel, strides)

    @ops.custom_gradient
    def penalty(*flat):
        grams = _lag_grams(flat, sizes, n)
        weights = {lag: 0.5 if lag == (0, 0) else 1.0 for lag in grams}
        value = sum(weights[lag] * ops.sum(ops.square(gram)) for lag, gram in grams.items())

        def gradient(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient by position, PyTorch by name.
            scale = 2.0 * (args[-1] if upstream is None else upstream)
            return tuple(
                scale * ops.matmul(_block_toeplitz(grams, size, n), part)
                for part, size in zip(flat, sizes, strict=True)
            )

        return value, gradient

    return penalty(*(ops.reshape(phase, (-1, kernel.shape[3])) for phase in phases))


def fourier(kernel: Any, strides: tuple[int, int]) -> Any:
    """The distance from unitary at each frequency, by five products of real matrices for each.

    With K_f the transformed kernel, of which a strided kernel's phases are further channels, and
    w_f Parseval's weights, the sum is that of w_f/2 || K_f K_f* - I ||^2 and its gradient the
    transform of 2 w_f (K_f K_f* - I) K_f back.
    """
    n, r = kernel.shape[2:]
    phases, sizes = _phases(kernel, strides)
    centre = (kernel.shape[0] // 2 // strides[0], kernel.shape[1] // 2 // strides[1])
    transform = _Transform.of(sizes, centre, (n, r), kernel.dtype)
    eye = ops.eye(n, dtype=kernel.dtype)

    @ops.custom_gradient
    def penalty(*flat):
        real, imaginary = transform.forward(flat)
        # K K* by two real products: its real part is symmetric, its imaginary part antisymmetric.
        both, half = real + imaginary, ops.matmul(imaginary, ops.transpose(real, (0, 2, 1)))
        flipped = ops.transpose(half, (0, 2, 1))
        symmetric = ops.matmul(both, ops.transpose(both, (0, 2, 1))) - half - flipped - eye
        antisymmetric = half - flipped
        squares = ops.square(symmetric) + ops.square(antisymmetric)
        value = 0.5 * ops.sum(transform.weights * squares)

        def gradient(*args, upstream=None):
            scale = 2.0 * (args[-1] if upstream is None else upstream)
            # Gauss: a complex product by three real ones.
            first = ops.matmul(symmetric + antisymmetric, real)
            second = ops.matmul(symmetric, imaginary - real)
            third = ops.matmul(antisymmetric, real + imaginary)
            return tuple(scale * part for part in transform.back(first - third, first + second))

        return value, gradient

    return penalty(*(ops.reshape(phase, (-1, n * r)) for phase in phases))


def convolution(kernel: Any, strides: tuple[int, int]) -> Any:
    """The paper's form: the kernel convolved with itself as a padded image."""
    kh, kw, n, _ = kernel.shape
    # Padding by the largest lag that lies on the stride grid puts lag 0 on the output grid.
    reach = [(size - 1) // stride * stride for size, stride in zip((kh, kw), strides, strict=True)]
    image = ops.transpose(kernel, (2, 0, 1, 3))
    image = ops.pad(image, [(0, 0), (reach[0], reach[0]), (reach[1], reach[1]), (0, 0)])
    grams = ops.conv(
        image,
        ops.transpose(kernel, (0, 1, 3, 2)),
        strides=strides,
        padding="valid",
        data_format="channels_last",
    )
    centre = [length // stride for length, stride in zip(reach, strides, strict=True)]
    identity = ops.reshape(ops.eye(n, dtype=kernel.dtype), (n, 1, 1, n))
    after = [grams.shape[axis + 1] - 1 - centre[axis] for axis in (0, 1)]
    identity = ops.pad(identity, [(0, 0), (centre[0], after[0]), (centre[1], after[1]), (0, 0)])
    return 0.5 * ops.sum(ops.square(grams - identity))


METHODS: dict[str, Callable[[Any, tuple[int, int]], Any]] = {
    "gram": gram,
    "fourier": fourier,
    "convolution": convolution,
}


def polyphase(kernel: Any, strides: tuple[int, int]) -> Any:
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


def smaller_side_first(kernel: Any) -> Any:
    """Return the kernel as `(height, width, n, r)` with n the smaller of its two channel counts."""
    return kernel if kernel.shape[2] < kernel.shape[3] else ops.transpose(kernel, (0, 1, 3, 2))


def _phases(kernel: Any, strides: tuple[int, int]) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return the kernel's phases, the taps on each shift of the stride's grid, and their sizes."""
    sizes = _phase_sizes(tuple(kernel.shape[:2]), strides)
    starts = itertools.product(
        *(range(min(pair)) for pair in zip(strides, kernel.shape[:2], strict=True))
    )
    return [kernel[y :: strides[0], x :: strides[1]] for y, x in starts], sizes


def _phase_sizes(size: tuple[int, int], strides: tuple[int, int]) -> list[tuple[int, int]]:
    lengths = (
        [len(range(phase, length, stride)) for phase in range(min(stride, length))]
        for length, stride in zip(size, strides, strict=True)
    )
    return [(rows, columns) for rows, columns in itertools.product(*lengths)]


def _grid(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the coarsest grid of frequencies that tells all lags of the largest phase apart."""
    return 2 * sizes[0][0] - 1, 2 * sizes[0][1] - 1


def _lag_grams(flat, sizes: list[tuple[int, int]], n: int) -> dict[tuple[int, int], Any]:
    """Return the Gram at each distinct lag, summed over phases, minus the identity at lag 0.

    Each phase is `(taps * n, r)`. One matrix product gives the Grams of all its pairs of taps;
    those with the same lag are added. The Gram at -d is the transpose of that at d and left out.
    """
    grams: dict[tuple[int, int], Any] = {(0, 0): -ops.eye(n, dtype=flat[0].dtype)}
    for part, (kh, kw) in zip(flat, sizes, strict=True):
        pairs = ops.reshape(ops.matmul(part, ops.transpose(part)), (kh, kw, n, kh, kw, n))
        for dy, dx in itertools.product(range(kh), range(1 - kw, kw)):
            if (dy, dx) >= (0, 0):
                taps = itertools.product(range(kh - dy), range(max(0, -dx), kw - max(0, dx)))
                found = sum(pairs[y, x, :, y + dy, x + dx, :] for y, x in taps)
                grams[dy, dx] = grams[dy, dx] + found if (dy, dx) in grams else found
    return grams


def _block_toeplitz(grams: dict[tuple[int, int], Any], size: tuple[int, int], n: int) -> Any:
    """Return the `(taps * n, taps * n)` matrix whose block (t, u) is the Gram at lag u - t."""
    both = {**{(-dy, -dx): ops.transpose(gram) for (dy, dx), gram in grams.items()}, **grams}
    taps = list(itertools.product(range(size[0]), range(size[1])))
    rows = [ops.concatenate([both[v - y, w - x] for v, w in taps], axis=1) for y, x in taps]
    return ops.concatenate(rows, axis=0)


@dataclasses.dataclass(frozen=True)
class _Transform:
    """The Fourier transform of a kernel's phases at the distinct frequencies.

    Of each pair of opposite frequencies, whose Grams are conjugate, one is kept and counts twice.
    Angles are taken about the kernel's centre, so that a Delta kernel becomes exactly 1.
    """

    weights: Any  # (frequencies, 1, 1)
    bases: list[tuple[Any, Any]]  # of each phase: cosines and sines, (frequencies, taps)
    shape: tuple[int, int, int]  # (frequencies, n, r)

    @classmethod
    def of(
        cls,
        sizes: list[tuple[int, int]],
        centre: tuple[int, int],
        channels: tuple[int, int],
        dtype: Any,
    ) -> _Transform:
        grid = np.array(_grid(sizes))
        every = np.array(list(np.ndindex(*grid)))
        opposite = -every % grid
        # In the order of a flattened grid, so that of each pair the earlier one is kept.
        order, other = every @ [grid[1], 1], opposite @ [grid[1], 1]
        kept, weights = every[order <= other], np.where(order == other, 1.0, 2.0)[order <= other]
        bases = []
        for size in sizes:
            taps = np.array(list(np.ndindex(*size))) - centre
            turns = 2 * np.pi * (kept / grid) @ taps.T
            bases.append(
                tuple(ops.convert_to_tensor(f(turns), dtype=dtype) for f in (np.cos, np.sin))
            )
        weights = ops.convert_to_tensor(weights[:, None, None] / np.prod(grid), dtype=dtype)
        return cls(weights, bases, (len(kept), *channels))

    def forward(self, flat) -> tuple[Any, Any]:
        """Take phases `(taps, n * r)` to real and imaginary `(frequencies, n, phases * r)`."""
        parts = [
            [ops.reshape(ops.matmul(basis, part), self.shape) for basis in pair]
            for pair, part in zip(self.bases, flat, strict=True)
        ]
        real, imaginary = (ops.concatenate(part, axis=2) for part in zip(*parts, strict=True))
        return real, -imaginary

    def back(self, real: Any, imaginary: Any) -> list[Any]:
        """Apply the transpose of `forward`, each frequency weighted."""
        count, n, r = self.shape
        phases = len(self.bases)
        parts = [ops.split(self.weights * part, phases, axis=2) for part in (real, -imaginary)]
        return [
            sum(
                ops.matmul(ops.transpose(basis), ops.reshape(part[phase], (count, n * r)))
                for basis, part in zip(pair, parts, strict=True)
            )
            for phase, pair in enumerate(self.bases)
        ]
