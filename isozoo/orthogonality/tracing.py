"""One trace for all kernels of one shape, where the backend makes graphs.

A network has dozens of convolutions and few distinct shapes of kernels. In a training step that is
compiled, each penalty would be traced anew, operation by operation; as a function of its own it is
traced once for each shape, and called.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from isozoo.orthogonality import METHODS

Penalty = Callable[[Any], Any]


@functools.cache
def traced(method: str, shape: tuple[int, ...], dtype: str, strides: tuple[int, int]) -> Penalty:
    """Return an exact method as a function of kernels of one shape, the same one at every call.

    Args:
        method: A key of `METHODS`.
        shape: Shape of the kernels, `(height, width, n, r)`.
        dtype: Their dtype; like the shape, it is only part of what tells functions apart.
        strides: Strides of the grid of lags.
    """
    compute = METHODS[method]

    def penalty(kernel):
        return compute(kernel, strides)

    graph = GRAPHS.get(keras.backend.backend())
    return graph(penalty) if graph else penalty


def _tensorflow(penalty: Penalty) -> Penalty:
    import tensorflow as tf

    graph = tf.function(penalty, autograph=False)
    # Outside of graphs a function would be traced for a single call.
    return lambda kernel: (graph if tf.inside_function() else penalty)(kernel)


def _jax(penalty: Penalty) -> Penalty:
    import jax  # pyright: ignore[reportMissingImports]

    return jax.jit(penalty)


#: How backends make a function that is traced apart; Keras has no public way. PyTorch needs no row:
#: it traces nothing.
GRAPHS: dict[str, Callable[[Penalty], Penalty]] = {"tensorflow": _tensorflow, "jax": _jax}
