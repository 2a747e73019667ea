"""Which steps of a network are activations, and what their outputs cannot fall below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.diagnostics.taps import Graph, Step
from isozoo.errors import DiagnosticsError
from isozoo.layers import Maxout, PReLU, SReLU


class Activation(NamedTuple):
    """What is known of an activation.

    Attributes:
        kind: Its name, such as `"SReLU"`.
        floor: What its outputs cannot fall below and are at while the filter is off: a number, or
            one per channel; None if there is none.
        mixes: Whether an output depends on other channels, as with softmax.
    """

    kind: str
    floor: np.ndarray | float | None = None
    mixes: bool = False


_functions = keras.activations
#: Activation functions with a floor.
_FLOORS: dict[Any, float] = {_functions.relu: 0.0, _functions.relu6: 0.0}
_MIXING = (_functions.softmax, _functions.log_softmax, _functions.sparsemax, _functions.glu)
#: Plain operations of a graph, by the names of their classes.
_OPERATIONS: dict[str, Activation] = {
    **{name: Activation(name, 0.0) for name in ("Relu", "Relu6")},
    **{
        name: Activation(name)
        for name in ("Elu", "Gelu", "HardSilu", "LeakyRelu", "Selu", "Sigmoid", "Silu", "Tanh")
    },
    **{name: Activation(name, mixes=True) for name in ("Softmax", "LogSoftmax")},
}


def _of_function(layer: Any) -> Activation | None:
    function = layer.activation
    if function is None or function is _functions.linear:
        return None
    name = getattr(function, "__name__", type(function).__name__)
    return Activation(name, _FLOORS.get(function), function in _MIXING)


def _of_relu(layer: Any) -> Activation:
    return Activation("ReLU", None if layer.negative_slope else 0.0)


def _without_floor(layer: Any) -> Activation:
    return Activation(type(layer).__name__)


#: How an activation is read, by the class of the layer that it is or is a part of.
_LAYERS: dict[tuple[type, ...], Callable[[Any], Activation | None]] = {
    (SReLU,): lambda layer: Activation("SReLU", keras.ops.convert_to_numpy(layer.shift)),
    (keras.layers.ReLU,): _of_relu,
    (keras.layers.Softmax,): lambda layer: Activation("Softmax", mixes=True),
    (keras.layers.LeakyReLU, keras.layers.ELU, keras.layers.PReLU, PReLU, Maxout): _without_floor,
    (
        keras.layers.Activation,
        keras.layers.Conv2D,
        keras.layers.Conv2DTranspose,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
        keras.layers.Dense,
    ): _of_function,
}


def activation_of(step: Step) -> Activation | None:
    """Return what is known of the activation that a step is or ends with; None if there is none.

    Args:
        step: One of a model's `steps`.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> from isozoo.diagnostics.taps import steps
        >>> found = steps(Classifier(architecture("resnet-8", classes=2)))
        >>> [activation_of(step) for step in found][:3]
        [None, None, Activation(kind='ReLU', floor=0.0, mixes=False)]
    """
    if not isinstance(step.operation, keras.layers.Layer):
        return _OPERATIONS.get(step.kind)
    for kinds, read in _LAYERS.items():
        if isinstance(step.operation, kinds):
            return read(step.operation)
    return None


def channel_axis(walked: Graph) -> int:
    """Return the axis of channels in a network's feature maps: -1, or 1 if they are first.

    Args:
        walked: The network's graph.

    Raises:
        DiagnosticsError: Some layers have channels last and others first.
    """
    formats = {getattr(step.operation, "data_format", None) for step in walked.steps} - {None}
    if len(formats) > 1:
        raise DiagnosticsError(
            f"{walked.name} has layers with channels last and others with channels first, so that "
            "a channel cannot be followed; build it with one data format"
        )
    return 1 if formats == {"channels_first"} else -1
