"""Gradients, and derivatives along and against directions, with the same numbers on every backend.

Keras has no public way to differentiate, so each backend has a module here, and nothing else in
`isozoo.diagnostics` imports a backend.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.errors import DiagnosticsError

#: The module that differentiates, by Keras's name of the backend.
BACKENDS = {name: f"{__name__}.on_{name}" for name in ("tensorflow", "jax", "torch")}

Pullback = Callable[[Any], tuple[Any, ...]]


def _backend() -> Any:
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise DiagnosticsError(
            f"Keras runs on {name}, on which nothing can be differentiated; choose one of "
            f"{', '.join(BACKENDS)} with KERAS_BACKEND"
        )
    return importlib.import_module(BACKENDS[name])


def without_gradients() -> contextlib.AbstractContextManager[None]:
    """Return a context in which the backend keeps nothing for a gradient."""
    return _backend().without_gradients()


def own_randomness() -> contextlib.AbstractContextManager[Any]:
    """Return a context with a random state of its own, where the backend has one for all.

    The state starts as the common one, goes on from one `with` to the next, and leaves the common
    one as it was.
    """
    return _backend().own_randomness()


def value_and_jvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    r"""Return what a function gives, and its derivative along a direction, $J v$.

    Args:
        function: Of tensors, by `keras.ops` or a Keras model; returns a tensor.
        primals: The tensors or arrays it is computed at.
        tangents: The direction, of the same shapes.

    Returns:
        The value and the derivative, tensors of one shape. States of a model that the function
        calls in training mode are as before.

    Raises:
        DiagnosticsError: The backend cannot differentiate.

    Example:
        >>> value, slope = value_and_jvp(ops.square, [np.float32(3)], [np.float32(1)])
        >>> float(value), float(slope)
        (9.0, 6.0)
    """
    return _backend().value_and_jvp(_traceless(function), _tensors(primals), _tensors(tangents))


def value_and_vjp(function: Callable[..., Any], primals: Sequence[Any]) -> tuple[Any, Pullback]:
    r"""Return what a function gives, and what pulls a direction back through it, $v^\top J$.

    Args:
        function: Of tensors, by `keras.ops` or a Keras model; returns a tensor.
        primals: The tensors or arrays it is computed at.

    Returns:
        The value, and a function from a tensor of its shape to one tensor for each of `primals`,
        zeros for what the value does not depend on. It can be called any number of times. States
        of a model that the function calls in training mode are as before.

    Raises:
        DiagnosticsError: The backend cannot differentiate.

    Example:
        >>> value, pullback = value_and_vjp(ops.multiply, [np.float32(3), np.float32(5)])
        >>> float(value), [float(slope) for slope in pullback(np.float32(1))]
        (15.0, [5.0, 3.0])
    """
    value, pullback = _backend().value_and_vjp(_traceless(function), _tensors(primals))
    return value, lambda cotangent: pullback(ops.convert_to_tensor(cotangent, dtype=value.dtype))


def loss_and_gradients(
    model: keras.Model,
    images: Any,
    labels: Any,
    loss: Callable[[Any, Any], Any] | None = None,
    training: bool = False,
    penalties: bool = False,
) -> tuple[float, list[np.ndarray]]:
    """Return the loss of one batch and its gradient, and leave no trace in the model.

    Args:
        model: The network.
        images: A preprocessed batch `(batch, height, width, channels)`.
        labels: What `loss` compares with: classes `(batch,)` or probabilities `(batch, classes)`.
        loss: Of labels and what the model returns; averaged over what it returns. Cross-entropy of
            logits, or of the probabilities of a model that ends in softmax, if None.
        training: Whether the model is called in training mode. Running statistics and random
            generators are as before afterwards.
        penalties: Whether what layers add to the loss, such as the orthogonality penalty, counts.

    Returns:
        The loss, and float arrays in the order of `model.trainable_variables`. They are what an
        optimiser is given: those of residual scales and Fixup's biases have the layer's
        `learning_rate_multiplier` in them.

    Raises:
        DiagnosticsError: The backend cannot differentiate; or no loss is given, and the model
            returns neither logits nor a softmax.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2))
        >>> loss, found = loss_and_gradients(model, np.ones((2, 32, 32, 3)), np.array([0, 1]))
        >>> [g.shape for g in found] == [v.shape for v in model.trainable_variables]
        True
    """
    # What computes the loss is above what differentiates.
    from isozoo.diagnostics.surface import LossSurface

    surface = LossSurface(model, images, labels, loss=loss, training=training, penalties=penalties)
    return surface.gradient(surface.values(), scaled=True)


def _traceless(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with what it assigns to variables forgotten."""

    def run(*tensors: Any) -> Any:
        with keras.StatelessScope():
            return function(*tensors)

    return run


def _tensors(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(ops.convert_to_tensor(value) for value in values)
