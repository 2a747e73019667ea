"""Which method needs the fewest multiply-adds."""

from __future__ import annotations

import math

from isozoo.orthogonality.phases import phase_sizes

#: How many times fewer multiply-adds `fourier` must need to be preferred: a margin for what its
#: transforms cost, chosen and not fitted. `isozoo benchmark penalty` times each method.
GAIN = 1.3


def counts(size: tuple[int, int], strides: tuple[int, int]) -> dict[str, int]:
    """Return the multiply-adds of each method, the gradient included, in units of n^2 r.

    A kernel's taps are transformed for n r multiply-adds each, which are not counted.

    Example:
        >>> counts((3, 3), (1, 1))
        {'gram': 162, 'fourier': 62, 'karatsuba': 162, 'convolution': 675}
        >>> counts((3, 3), (2, 2))
        {'gram': 50, 'fourier': 88, 'karatsuba': 26, 'convolution': 243}
    """
    sizes = phase_sizes(size, strides)
    lags = [2 * -(-length // stride) - 1 for length, stride in zip(size, strides, strict=True)]
    by_gram = sum(2 * math.prod(phase) ** 2 for phase in sizes)
    sums = [math.prod(2 * taps - 1 for taps in phase) for phase in sizes]
    short = max(max(phase) for phase in sizes) == 2
    return {
        "gram": by_gram,
        "fourier": len(sizes) * (5 * (math.prod(lags) // 2) + 2),
        "karatsuba": sum((3 * count + 1) // 2 for count in sums) if short else by_gram,
        "convolution": 3 * math.prod(lags) * math.prod(size),
    }


def fastest(size: tuple[int, int], strides: tuple[int, int]) -> str:
    """Return the method to take for a kernel of `size` taps: the one with the fewest multiply-adds.

    Example:
        >>> fastest((3, 3), (1, 1)), fastest((1, 1), (1, 1)), fastest((3, 3), (2, 2))
        ('fourier', 'gram', 'karatsuba')
    """
    count = counts(size, strides)
    best = "karatsuba" if count["karatsuba"] < count["gram"] else "gram"
    return "fourier" if GAIN * count["fourier"] < count[best] else best
