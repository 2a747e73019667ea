"""Which layer went first: outputs, gradients and penalties of one batch, layer by layer."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from isozoo.training.checkpoint import assign, values_of
from isozoo.training.distribute.strategy import Strategy


class Fault(NamedTuple):
    """The layer that went first, None if it could not be told, and what to say of it."""

    layer: str | None
    text: str


def is_finite(value: Any) -> bool:
    """Return whether a tensor or variable has neither NaN nor infinity."""
    return bool(ops.all(ops.isfinite(value)))


@contextlib.contextmanager
def restored(strategy: Strategy, variables: Sequence[Any]) -> Iterator[None]:
    """Return a context after which each replica's copy of some variables is what it was before."""
    copies = strategy.copies(variables)
    values = values_of(copies)
    yield
    assign(copies, values)


class Output(NamedTuple):
    """What all replicas know of a layer's output.

    Args:
        bad: Replicas whose output has a NaN or an infinity.
        square: Sum over the replicas of the mean of the squares.
    """

    bad: float
    square: float


def outputs(
    parts: Sequence[keras.Model], images: Any, strategy: Strategy, training: bool = True
) -> dict[str, Output]:
    """Return what is known of the output of each layer, in the order of computation.

    The network computes it as in a step; its variables are then as they were.

    Args:
        parts: Functional models, each taking what the one before it returns.
        images: The first one's input, as the strategy's replicas get it.
        strategy: Who computes.
        training: Whether in training mode.

    Returns:
        By the layer's name.
    """
    of_parts = [
        [layer for layer in part.layers if not isinstance(layer, keras.layers.InputLayer)]
        for part in parts
    ]
    probes = [
        keras.Model(part.input, [[layer.output for layer in layers], part.output])
        for part, layers in zip(parts, of_parts, strict=True)
    ]

    def look(images: Any) -> Any:
        found = []
        for probe in probes:
            values, images = probe(images, training=training)
            found += [_known(value) for value in values]
        return ops.stack(found)

    with restored(strategy, [v for part in parts for v in part.non_trainable_variables]):
        found = ops.convert_to_numpy(strategy.sum_of(look, images)).tolist()
    names = [layer.name for layers in of_parts for layer in layers]
    return {name: Output(*known) for name, known in zip(names, found, strict=True)}


def _known(value: Any) -> Any:
    """Return an `Output` as a tensor, of one replica."""
    bad = ops.logical_not(ops.all(ops.isfinite(value)))
    square = ops.mean(ops.square(ops.cast(value, "float32")))
    return ops.stack([ops.cast(bad, "float32"), square])


def bad_output(
    parts: Sequence[keras.Model], images: Any, strategy: Strategy, training: bool = True
) -> Fault | None:
    """Return the first layer whose output is not finite; the arguments are those of `outputs`."""
    for name, output in outputs(parts, images, strategy, training).items():
        if output.bad:
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


def grown_most(
    parts: Sequence[keras.Model], good: Sequence[keras.Model], images: Any, strategy: Strategy
) -> Fault:
    """Return the layer whose output grew most against a good state of the same network.

    The size of an output is its root mean square over all replicas.
    """
    now, then = (outputs(state, images, strategy) for state in (parts, good))
    growth = {
        name: math.sqrt(now[name].square / was.square) for name, was in then.items() if was.square
    }
    worst = max(growth, key=lambda name: growth[name])
    return Fault(
        worst,
        f"the activations of {worst} grew most since the last good state, {growth[worst]:.3g}x",
    )


def _layer(variable: Any) -> str:
    return variable.path.rpartition("/")[0]
