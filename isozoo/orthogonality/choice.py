"""Which method needs the fewest multiply-adds."""

from __future__ import annotations

import math

from isozoo.orthogonality.phases import frequency_grid, phase_sizes

#: How many times fewer multiply-adds `fourier` must need to be preferred: a margin for what its
#: transforms cost, chosen and not fitted. `benchmarks/penalty.py` times every method.
GAIN = 1.3


def fastest(size: tuple[int, int], strides: tuple[int, int]) -> str:
    """Return the method that needs the fewest multiply-adds for a kernel of `size` taps.

    Example:
        >>> fastest((3, 3), (1, 1)), fastest((1, 1), (1, 1)), fastest((3, 3), (2, 2))
        ('fourier', 'gram', 'gram')
    """
    sizes = phase_sizes(size, strides)
    by_gram = sum(2 * math.prod(phase) ** 2 for phase in sizes)
    by_fourier = 5 * len(sizes) * (math.prod(frequency_grid(sizes)) + 1) // 2
    return "fourier" if GAIN * by_fourier < by_gram else "gram"
