"""Derivatives on TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def without_gradients() -> contextlib.AbstractContextManager[None]:
    """Return a context that does nothing: only a tape keeps anything."""
    return contextlib.nullcontext()


def own_randomness() -> contextlib.AbstractContextManager[None]:
    """Return a context that does nothing: all that Keras draws is from generators of the model."""
    return contextlib.nullcontext()


def value_and_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """Return the value and its derivative along the tangents."""
    with tf.autodiff.ForwardAccumulator(list(primals), list(tangents)) as accumulator:
        value = function(*primals)
    return value, accumulator.jvp(value, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def value_and_vjp(function: Callable, primals: tuple) -> tuple[Any, Callable]:
    """Return the value and its pullback."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        for primal in primals:
            tape.watch(primal)
        value = function(*primals)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        zero = tf.UnconnectedGradients.ZERO
        found = tape.gradient(
            value, list(primals), output_gradients=cotangent, unconnected_gradients=zero
        )
        return tuple(tf.convert_to_tensor(gradient) for gradient in found)

    return value, pullback
