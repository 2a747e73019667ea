"""The next step of a model's own optimiser, looked at and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics.surface import Loss, LossSurface, multipliers
from isozoo.errors import DiagnosticsError
from isozoo.training.checkpoint import assign, values_of


def optimizer_of(model: keras.Model) -> keras.optimizers.Optimizer:
    """Return the optimiser that a model was compiled with.

    Raises:
        DiagnosticsError: It was not.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise DiagnosticsError(
            f"{model.name} has no optimiser, and its next step was asked for; compile it with the "
            "one that trains it, or measure during training"
        )
    return optimizer


def learning_rate_of(model: keras.Model) -> float:
    """Return the present learning rate of a model's optimiser.

    Raises:
        DiagnosticsError: The model was not compiled.
    """
    return float(ops.convert_to_numpy(optimizer_of(model).learning_rate))


def steps_done(model: keras.Model) -> int:
    """Return how many steps a model's optimiser has taken; none without an optimiser."""
    optimizer = getattr(model, "optimizer", None)
    return 0 if optimizer is None else int(ops.convert_to_numpy(optimizer.iterations))


def step_ahead(model: keras.Model, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return where the optimiser would go with a gradient, its momentum and schedule included.

    The step is taken and taken back: weights and all that the optimiser remembers are afterwards
    what they were, to the bit, also if it fails.

    Args:
        model: A compiled model.
        gradients: One for each trainable weight, as `LossSurface.gradient` returns them: not yet
            multiplied where a layer gives a weight a learning rate of its own.

    Returns:
        The trainable weights after the step.

    Raises:
        DiagnosticsError: The model was not compiled.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
        >>> found = step_ahead(model, [np.ones((2, 1), "float32")])
        >>> [round(float(step), 4) for step in (model.get_weights()[0] - found[0]).ravel()]
        [0.5, 0.5]
        >>> int(model.optimizer.iterations)
        0
    """
    optimizer = optimizer_of(model)
    optimizer.build(model.trainable_variables)
    before = values_of(model.trainable_variables)
    remembered = values_of(optimizer.variables)
    # An optimiser that scales the loss expects gradients of it.
    factor = float(ops.convert_to_numpy(optimizer.scale_loss(ops.ones(()))))
    given = [factor * gradient for gradient in gradients]
    for i, multiplier in multipliers(model).items():
        given[i] = (multiplier * given[i]).astype(before[i].dtype)
    try:
        optimizer.apply([*map(ops.convert_to_tensor, given)], model.trainable_variables)
        return values_of(model.trainable_variables)
    finally:
        assign(model.trainable_variables, before)
        assign(optimizer.variables, remembered)


def next_weights(
    model: keras.Model, images: Any, labels: Any, loss: Loss | None = None
) -> list[np.ndarray]:
    """Return the weights that training on a batch leads to: with its statistics and the penalties.

    Args:
        model: A compiled model.
        images: A preprocessed batch `(batch, height, width, channels)`.
        labels: What the loss compares with.
        loss: As for `LossSurface`.

    Raises:
        DiagnosticsError: The model was not compiled, or the backend cannot differentiate.
    """
    surface = LossSurface(model, images, labels, loss=loss, training=True, penalties=True)
    return step_ahead(model, surface.gradient(surface.values())[1])
