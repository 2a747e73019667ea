"""The penalty from the Gram matrices of pairs of taps."""

from __future__ import annotations

import itertools
from typing import Any

from keras import ops

from isozoo.orthogonality.derivative import with_gradient
from isozoo.orthogonality.phases import phases_of


def gram(kernel: Any, strides: tuple[int, int]) -> Any:
    """Channel Grams over distinct lags by matrix products, and the gradient by others.

    Taps whose lag is on the stride's grid are those of equal phase, so each phase of the kernel is
    a kernel of stride 1 and their Grams add up. With D_d the Gram at lag d, minus the identity at
    lag 0, the gradient is 2 * sum_d D_d K_{t+d}: a block Toeplitz matrix times each phase.
    """
    n = kernel.shape[2]
    phases, sizes = phases_of(kernel, strides)

    def forward(*flat):
        grams = _lag_grams(flat, sizes, n)
        weights = {lag: 0.5 if lag == (0, 0) else 1.0 for lag in grams}
        value = sum(weights[lag] * ops.sum(ops.square(gram)) for lag, gram in grams.items())
        return value, grams

    def backward(flat, grams):
        return [
            2.0 * ops.matmul(_block_toeplitz(grams, size, n), part)
            for part, size in zip(flat, sizes, strict=True)
        ]

    penalty = with_gradient(forward, backward)
    return penalty(*(ops.reshape(phase, (-1, kernel.shape[3])) for phase in phases))


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
