r"""The orthogonality penalty of one kernel: three equal ways to compute it, and an estimate.

Each way takes a kernel `(height, width, n, r)` with n the side that its Gram matrices are over, and
the stride of the grid that the lags lie on. With $G_d = \sum_t K_t K_{t+d}^T$, each returns

    1/2 * sum over d on the grid of || G_d - [d = 0] I ||^2

* `convolution`, the authors' form: the kernel convolved with itself as a padded image. Its cost is
  counted against here: 225 n^2 r multiply-adds for a 3x3 kernel, 675 with the gradient.
* `gram`: the Gram matrices of all pairs of taps by one matrix product, and the gradient by another:
  2 (taps)^2 n^2 r. Best for 1x1 kernels.
* `karatsuba`: the same from sums of taps, with fewer products: 26 n^2 r for a 3x3 kernel of stride
  2, whose phases have at most two taps along an axis, where `gram` needs 50.
* `fourier`: by Parseval, the same sum over the frequencies of a grid just fine enough to hold every
  lag, 5x5 for a 3x3 kernel, where each Gram is one small complex product: 62 n^2 r for 3x3.
* `probe` does not compute it but estimates it, without bias, from random images: its cost grows
  with n r and not with n^2 r.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isozoo.methods import EXACT, PROBE
from isozoo.orthogonality.choice import counts, fastest
from isozoo.orthogonality.convolution import convolution
from isozoo.orthogonality.fourier import fourier
from isozoo.orthogonality.gram import gram
from isozoo.orthogonality.karatsuba import karatsuba
from isozoo.orthogonality.phases import polyphase, smaller_side_first
from isozoo.orthogonality.probe import draw_images, probe

__all__ = [
    "METHODS",
    "PROBE",
    "convolution",
    "counts",
    "draw_images",
    "fastest",
    "fourier",
    "gram",
    "karatsuba",
    "polyphase",
    "probe",
    "smaller_side_first",
]

#: The methods that are equal to rounding.
METHODS: dict[str, Callable[[Any, tuple[int, int]], Any]] = dict(
    zip(EXACT, (gram, fourier, karatsuba, convolution), strict=True)
)
