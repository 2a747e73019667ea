"""Which steps of a network are activations, and what their outputs cannot fall below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.diagnostics.taps import Graph, Step
from isozoo.errors import DiagnosticsError
from isozoo.layers import (
    BatchInstanceNormalization,
    Maxout,
    PReLU,
    ResidualScale,
    ScalarBias,
    SReLU,
    SymmetricMaxPooling2D,
)


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
        for name in (
            "Celu", "Elu", "Gelu", "HardShrink", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu",
            "LogSigmoid", "Selu", "Sigmoid", "Silu", "SoftShrink", "Softplus", "Softsign",
            "SparsePlus", "SparseSigmoid", "Squareplus", "Tanh", "TanhShrink", "Threshold",
        )
    },
    **{name: Activation(name, mixes=True) for name in ("LogSoftmax", "Softmax", "Sparsemax")},
}  # fmt: skip


def _of_function(layer: Any) -> Activation | None:
    function = layer.activation
    if function is None or function is _functions.linear:
        return None
    return Activation(_name(function), _FLOORS.get(function), function in _MIXING)


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


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


_layers = keras.layers
#: Layers that may keep the shape of what they take, and are no activations.
_OTHERS: tuple[type, ...] = (
    BatchInstanceNormalization, ResidualScale, ScalarBias, SymmetricMaxPooling2D,
    _layers.ActivityRegularization, _layers.AlphaDropout, _layers.AveragePooling2D,
    _layers.BatchNormalization, _layers.Cropping2D, _layers.Dropout, _layers.Flatten,
    _layers.GaussianDropout, _layers.GaussianNoise, _layers.GroupNormalization, _layers.Identity,
    _layers.LayerNormalization, _layers.MaxPooling2D, _layers.Normalization, _layers.Permute,
    _layers.RMSNormalization, _layers.Rescaling, _layers.Reshape, _layers.SpatialDropout2D,
    _layers.UnitNormalization, _layers.UpSampling2D, _layers.ZeroPadding2D,
)  # fmt: skip
#: The same of plain operations.
_OTHER_OPERATIONS = frozenset((
    "Add", "Cast", "Copy", "Divide", "Flip", "GetItem", "Identity", "Multiply", "Negative",
    "Reshape", "Roll", "StopGradient", "Subtract", "Transpose", "TrueDivide",
))  # fmt: skip


def unknown_activations(walked: Graph) -> dict[str, str]:
    """Return what may be an activation of a network and is none that `activation_of` knows.

    That is what a layer of another kind ends with, as `keras.layers.Conv1D` does, and layers and
    operations without a kernel that keep the shape of what they take.

    Args:
        walked: The network's graph.

    Returns:
        What it is, by the name of its step.

    Example:
        >>> from isozoo.diagnostics.taps import graph
        >>> conv = keras.layers.Conv1D(2, 1, activation="relu", name="line")
        >>> unknown_activations(graph(keras.Sequential([keras.Input((8, 3)), conv])))
        {'line': 'Conv1D with relu'}
    """
    shapes = {n: tuple(each.shape) for n, each in zip(walked.sources, walked.inputs, strict=True)}
    shapes |= {number: step.shape for step in walked.steps for number in step.outputs}
    found = {step.name: _unknown(step, shapes) for step in walked.steps}
    return {name: kind for name, kind in found.items() if kind is not None}


def _unknown(step: Step, shapes: dict[int, tuple[int | None, ...]]) -> str | None:
    operation: Any = step.operation
    known = (*(kind for kinds in _LAYERS for kind in kinds), *_OTHERS)
    if isinstance(operation, known):
        return None
    plain = not isinstance(operation, keras.layers.Layer)
    if plain and step.kind in (_OPERATIONS.keys() | _OTHER_OPERATIONS):
        return None
    function = getattr(operation, "activation", None)
    if callable(function) and function is not _functions.linear:
        return f"{step.kind} with {_name(function)}"
    kernels = any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))
    keeps = len(step.inputs) == 1 and shapes[step.inputs[0]] == step.shape
    return step.kind if keeps and not kernels else None


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
