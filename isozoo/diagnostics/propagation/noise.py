r"""What each layer of a Keras model makes of an infinitely small noise.

The noise after a layer is the derivative of the layer at its signal, applied to the noise before
it. Statistics of normalisations are taken for constants, as in the simulations: a row of `RULES`
divides the noise by the deviation of the signal. Layers that are affine are called on the noise
itself. All others are differentiated by the backend, `value_and_jvp`, which for a normalisation
without a rule means its statistics are no constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from isozoo.diagnostics.gradients import value_and_jvp
from isozoo.diagnostics.propagation.kinds import Statistics
from isozoo.diagnostics.propagation.steps import standardize
from isozoo.diagnostics.taps import Slot, Step
from isozoo.errors import DiagnosticsError
from isozoo.layers import (
    BatchInstanceNormalization,
    Conv2D,
    GroupNormalization,
    ResidualScale,
    ScalarBias,
    SReLU,
)


class Call(NamedTuple):
    """A step of a model, to be called on other tensors.

    Args:
        step: The step.
        training: Whether in training mode.
        output: What the step made of the signal, if that is known.
    """

    step: Step
    training: bool
    output: Any = None

    @property
    def inputs(self) -> tuple[int, ...]:
        """Numbers of the tensors it takes, each once."""
        return tuple(dict.fromkeys(self.step.inputs))

    def __call__(self, *tensors: Any, zeros: Sequence[Any] = ()) -> Any:
        """Return what the step makes of one tensor for each of `inputs`, some variables being 0."""
        values = dict(zip(self.inputs, tensors, strict=True))
        args, kwargs = tree.map_structure(
            lambda leaf: values[leaf.number] if isinstance(leaf, Slot) else leaf,
            self.step.arguments,
            none_is_leaf=True,
        )
        if isinstance(self.step.operation, keras.layers.Layer):
            kwargs = {**kwargs, "training": self.training}
        with keras.StatelessScope([(each, ops.zeros_like(each)) for each in zeros]):
            return self.step.operation(*args, **kwargs)


#: What layers add, under the names that Keras has for it.
_ADDED = ("bias", "beta", "moving_mean")


def _affine(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    """Return the linear part of an affine map: f(dx) - f(0)."""
    # A noise far smaller than a bias would be rounded away in the difference.
    found = [getattr(call.step.operation, name, None) for name in _ADDED]
    added = [each for each in found if isinstance(each, keras.Variable)]
    nothing = [ops.zeros_like(noise[:1]) for noise in noises]
    return call(*noises, zeros=added) - call(*nothing, zeros=added)


def _dropout(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    """Drop of the noise what was dropped of the signal."""
    layer, (x,), (dx,) = call.step.operation, signals, noises
    if not call.training or layer.rate == 0 or call.output is None:
        return call(dx)
    shared = _shared(layer, len(x.shape))
    here, kept = x != 0, call.output != 0
    if shared:
        here, kept = (ops.any(each, axis=shared, keepdims=True) for each in (here, kept))
    # Where the signal is 0 it does not tell what was dropped, and anew is as likely.
    return ops.where(here, dx * ops.cast(kept, dx.dtype) / (1.0 - layer.rate), call(dx))


def _shared(layer: Any, rank: int) -> tuple[int, ...]:
    """Return the axes along which all is dropped or nothing."""
    if isinstance(layer, _SPATIAL_DROPOUT):
        first = 2 if getattr(layer, "data_format", None) == "channels_first" else 1
        return tuple(range(first, first + rank - 2))
    return tuple(i for i, side in enumerate(layer.noise_shape or ()) if side == 1)


def _hinge(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    # Where a signal equals its shift, which backends treat differently, the noise is held back.
    (x,), (dx,) = signals, noises
    return dx * ops.cast(x > call.step.operation.per_channel(x), dx.dtype)


def _by_statistics(layer: Any, x: Any, dx: Any, axis: int, *parts: tuple[Any, Statistics]) -> Any:
    """Return noise divided by deviations of the signal, in shares per channel, times gamma."""
    rows = [ops.moveaxis(each, axis, -1) for each in (x, dx)]
    signal, noise = (ops.reshape(each, (x.shape[0], -1, 1, each.shape[-1])) for each in rows)
    found = 0.0
    for share, statistics in parts:
        found = found + share * standardize(signal, noise, statistics, layer.epsilon)[1]
    gamma = getattr(layer, "gamma", None)
    found = ops.reshape(found if gamma is None else found * gamma, rows[1].shape)
    return ops.moveaxis(found, -1, axis)


_OVER_BATCH = Statistics(1.0, -1, over_batch=True)
_OVER_IMAGE = Statistics(1.0, -1, over_batch=False)


def _batch(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    layer, (x,), (dx,) = call.step.operation, signals, noises
    if not (call.training and layer.trainable):
        return _affine(call, signals, noises)
    return _by_statistics(layer, x, dx, layer.axis, (1.0, _OVER_BATCH))


def _group(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    layer, (x,), (dx,) = call.step.operation, signals, noises
    statistics = Statistics(1.0, layer.groups, over_batch=False)
    return _by_statistics(layer, x, dx, layer.axis, (1.0, statistics))


def _batch_instance(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    layer, (x,), (dx,) = call.step.operation, signals, noises
    gate = ops.convert_to_tensor(layer.gate)
    instance = _by_statistics(layer, x, dx, layer.axis, (1.0 - gate, _OVER_IMAGE))
    if call.training and layer.trainable:
        return instance + _by_statistics(layer, x, dx, layer.axis, (gate, _OVER_BATCH))
    factor = gate * layer.gamma * ops.rsqrt(layer.moving_variance + layer.epsilon)
    return instance + ops.moveaxis(ops.moveaxis(dx, layer.axis, -1) * factor, -1, layer.axis)


def _layer(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    layer, (x,), (dx,) = call.step.operation, signals, noises
    rank = len(x.shape)
    axes = [axis % rank for axis in tree.flatten(layer.axis)]
    if axes != [rank - 1]:
        raise DiagnosticsError(
            f"the statistics of {call.step.name}, a LayerNormalization over axes {axes}, are not "
            "known; only those over the last axis are"
        )
    # Each position is an image of its own.
    signal, noise = (ops.reshape(each, (-1, 1, 1, x.shape[-1])) for each in (x, dx))
    one = Statistics(1.0, 1, over_batch=False)
    return ops.reshape(_by_statistics(layer, signal, noise, -1, (1.0, one)), dx.shape)


_SPATIAL_DROPOUT = (
    keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D,
)  # fmt: skip

Rule = Callable[[Call, Sequence[Any], Sequence[Any]], Any]

#: The methods in which Keras's layers compute.
_COMPUTING = ("call", "convolution_op")

_AFFINE = (
    keras.layers.Add, keras.layers.Average, keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D, keras.layers.Concatenate, keras.layers.Conv1D,
    keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Conv3D, keras.layers.Cropping2D,
    keras.layers.Dense, keras.layers.DepthwiseConv2D, keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D,
    keras.layers.Identity, keras.layers.Normalization, keras.layers.Permute, keras.layers.Rescaling,
    keras.layers.Reshape, keras.layers.SeparableConv2D, keras.layers.Subtract,
    keras.layers.UpSampling2D, keras.layers.ZeroPadding2D, Conv2D, ResidualScale,
    ScalarBias,
)  # fmt: skip

#: The rules, by class. A class without one takes that of the class it derives from, if it computes
#: what that computes.
RULES: Mapping[type, Rule] = {
    **dict.fromkeys(_AFFINE, _affine),
    keras.layers.BatchNormalization: _batch,
    keras.layers.GroupNormalization: _group,
    keras.layers.LayerNormalization: _layer,
    GroupNormalization: _group,
    BatchInstanceNormalization: _batch_instance,
    **dict.fromkeys((keras.layers.Dropout, *_SPATIAL_DROPOUT), _dropout),
    SReLU: _hinge,
}


def _differentiated(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    step = call.step
    try:
        value, found = value_and_jvp(call, signals, noises)
    # What a backend raises that has no derivative of an operation.
    except (LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise _impassable(step, f"{type(error).__name__}: {error}") from error
    # Backends also return 0 where they lose sight of an operation. Of a constant it is right.
    if not _any(found) and any(map(_any, noises)) and _any(value - ops.mean(value)):
        raise _impassable(step, "its derivative is 0 everywhere, though its output varies")
    return found


def _any(x: Any) -> bool:
    return bool(ops.any(x != 0))


def _impassable(step: Step, reason: str) -> DiagnosticsError:
    return DiagnosticsError(
        f"asked how noise passes {step.name}, a {step.kind}, for which there is no rule and which "
        f"{keras.backend.backend()} cannot differentiate ({reason}); add a rule to "
        "isozoo.diagnostics.propagation.noise.RULES, or measure the part of the model before it"
    )


def rule(operation: Any) -> Rule:
    """Return the rule of an operation: the row of its class, or its derivative.

    Example:
        >>> rule(keras.layers.Conv2D(2, 3)) is RULES[keras.layers.Conv2D]
        True
        >>> rule(keras.layers.Conv2D(2, 3, activation="gelu")) is RULES[keras.layers.Conv2D]
        False
    """
    activation = getattr(operation, "activation", None)
    if activation not in (None, keras.activations.linear):
        return _differentiated
    kind = type(operation)
    for parent in kind.__mro__:
        if parent in RULES:
            return RULES[parent] if _computes_as(kind, parent) else _differentiated
    return _differentiated


def _computes_as(kind: type, parent: type) -> bool:
    """Return whether a class computes what a parent does, and only makes it in another way."""
    return all(getattr(kind, name, None) is getattr(parent, name, None) for name in _COMPUTING)


def noise_after(
    step: Step, signals: Sequence[Any], noises: Sequence[Any], training: bool, output: Any = None
) -> Any:
    """Return the noise after a step.

    Args:
        step: The step, which makes one tensor.
        signals: The tensors that it takes, each once.
        noises: The noise of each, of the same shapes.
        training: Whether the model is in training mode.
        output: What it made of the signal, which tells what dropout dropped.

    Raises:
        DiagnosticsError: It makes several tensors, or has neither a rule nor a derivative.
    """
    if len(step.outputs) != 1:
        raise DiagnosticsError(
            f"{step.name}, a {step.kind}, makes {len(step.outputs)} tensors, and noise is only "
            "followed through operations that make one; measure the part of the model before it"
        )
    return rule(step.operation)(Call(step, training, output), signals, noises)
