"""The names of the ways to compute the orthogonality penalty; loads no Keras."""

from __future__ import annotations

#: Equal to rounding; the functions are `isozoo.orthogonality.METHODS`.
EXACT = ("gram", "fourier", "karatsuba", "convolution")
#: An estimate without bias.
PROBE = "probe"
#: All of them.
NAMES = (*EXACT, PROBE)
