"""Which layer went first: outputs, gradients and penalties of one batch, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from isozoo.training.checkpoint import assign, random_states, values_of


class Fault(NamedTuple):
    """The layer that went first, None if it could not be told, and what to say of it."""

    layer: str | None
    text: str


def is_finite(value: Any) -> bool:
    """Return whether a tensor or variable has neither NaN nor infinity."""
    return bool(ops.all(ops.isfinite(value)))


def outputs(parts: Sequence[keras.Model], images: Any, training: bool = True) -> dict[str, Any]:
    """Return the output of each layer, in the order of computation.

    Args:
        parts: Functional models, each taking what the one before it returns.
        images: The first one's input.
        training: Whether in training mode.

    Returns:
        Tensors by the layer's name. The states of random generators are as they were.
    """
    states = [v for part in parts for v in random_states(part)]
    before, found = values_of(states), {}
    for part in parts:
        layers = [layer for layer in part.layers if not isinstance(layer, keras.layers.InputLayer)]
        probe = keras.Model(part.input, [[layer.output for layer in layers], part.output])
        values, images = probe(images, training=training)
        found |= dict(zip((layer.name for layer in layers), values, strict=True))
    assign(states, before)
    return found


def bad_output(parts: Sequence[keras.Model], images: Any, training: bool = True) -> Fault | None:
    """Return the first layer whose output is not finite."""
    for name, value in outputs(parts, images, training).items():
        if not is_finite(value):
            return Fault(name, f"first in the activations of {name}")
    return None


def bad_penalty(parts: Sequence[keras.Model]) -> Fault | None:
    """Return the first layer whose own losses are not finite."""
    for layer in (layer for part in parts for layer in part.layers):
        if not all(is_finite(loss) for loss in layer.losses):
            return Fault(layer.name, f"first in the penalty on {layer.name}")
    return None


def bad_weight(model: keras.Model) -> Fault | None:
    """Return the first layer of a compiled model with a variable that is not finite.

    The optimiser's variables come last, and belong to no layer.
    """
    for variable in model.trainable_variables:
        if not is_finite(variable):
            layer = _layer(variable)
            return Fault(layer, f"first in the weights of {layer}, by a step too large")
    for variable in model.non_trainable_variables:
        if not is_finite(variable):
            return Fault(_layer(variable), f"first in {variable.path}, which is not trained")
    for variable in model.optimizer.variables:
        if not is_finite(variable):
            return Fault(None, f"first in the optimiser's {variable.path}")
    return None


def bad_gradient(model: keras.Model, step: Callable[[], object]) -> Fault | None:
    """Return the layer whose gradient is not finite and that is nearest to the loss.

    A step of plain gradient descent with rate 1 leaves NaN or infinity exactly where the gradient
    has it, on every backend. The model is of no use afterwards: it is compiled anew and has moved.

    Args:
        model: The model, compiled, as it was before the step.
        step: Does the step.
    """
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=model.loss)
    step()
    layers = [_layer(v) for v in model.trainable_variables if not is_finite(v)]
    # Gradients flow from the last layer to the first.
    return Fault(layers[-1], f"first in the gradients of {layers[-1]}") if layers else None


def grown_most(parts: Sequence[keras.Model], good: Sequence[keras.Model], images: Any) -> Fault:
    """Return the layer whose output grew most against a good state of the same network."""
    now, then = (_sizes(state, images) for state in (parts, good))
    growth = {name: now[name] / size for name, size in then.items() if size > 0}
    worst = max(growth, key=lambda name: growth[name])
    return Fault(
        worst,
        f"the activations of {worst} grew most since the last good state, {growth[worst]:.3g}x",
    )


def _sizes(parts: Sequence[keras.Model], images: Any) -> dict[str, float]:
    """Return the root mean square of each layer's output."""
    return {
        name: float(ops.sqrt(ops.mean(ops.square(ops.cast(value, "float32")))))
        for name, value in outputs(parts, images).items()
    }


def _layer(variable: Any) -> str:
    return variable.path.rpartition("/")[0]
