"""How the kernels of simulated networks are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """Which kernel is drawn.

    Args:
        unit: Number of the layer or residual unit, from 1; 0 for the first convolution.
        layer: Number of the layer in the unit, from 1.
        layers: Layers of a unit.
        units: Units of the network.
        shape: `(height, width, inputs, outputs)`.
    """

    unit: int
    layer: int
    layers: int
    units: int
    shape: tuple[int, int, int, int]


Draw = Callable[[np.random.Generator, Place, str], np.ndarray]


def normal(rng: np.random.Generator, place: Place, dtype: str, gain: float) -> np.ndarray:
    """Return normal weights of variance `gain / fan_in`."""
    deviation = math.sqrt(gain / math.prod(place.shape[:3]))
    kernel = rng.standard_normal(place.shape, dtype=np.dtype(dtype).type)
    kernel *= deviation
    return kernel


def _centred(matrix: np.ndarray, place: Place, dtype: str) -> np.ndarray:
    kernel = np.zeros(place.shape, dtype)
    kernel[place.shape[0] // 2, place.shape[1] // 2] = matrix
    return kernel


def _orthogonal(rng: np.random.Generator, place: Place, dtype: str) -> np.ndarray:
    inputs, outputs = place.shape[2:]
    q, r = np.linalg.qr(rng.standard_normal((max(inputs, outputs), min(inputs, outputs))))
    # The signs make the distribution uniform, which the factorisation alone does not.
    q = q * np.sign(np.diag(r))
    return _centred(q if inputs >= outputs else q.T, place, dtype)


def _fixup(rng: np.random.Generator, place: Place, dtype: str) -> np.ndarray:
    """Return He's weights times `units ** (-1 / (2 layers - 2))`, and zeros in the last layer."""
    if place.layer == place.layers:
        return np.zeros(place.shape, dtype)
    return normal(rng, place, dtype, 2.0 * place.units ** (-1.0 / (place.layers - 1)))


#: The rules, by name. The first convolution is normal with variance `1 / fan_in` under each.
KERNELS: Mapping[str, Draw] = {
    "he": lambda rng, place, dtype: normal(rng, place, dtype, 2.0),
    "delta": lambda rng, place, dtype: _centred(np.eye(*place.shape[2:]), place, dtype),
    "delta-orthogonal": _orthogonal,
    "fixup": _fixup,
}


def draw(rng: np.random.Generator, place: Place, dtype: str, rule: str) -> np.ndarray:
    """Return the kernel of a place under a row of `KERNELS`.

    Example:
        >>> place = Place(unit=1, layer=1, layers=1, units=1, shape=(3, 3, 2, 2))
        >>> draw(np.random.default_rng(0), place, "float32", "delta")[1, 1].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return normal(rng, place, dtype, 1.0) if place.unit == 0 else KERNELS[rule](rng, place, dtype)
