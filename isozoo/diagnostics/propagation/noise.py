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
from isozoo.layers import BatchInstanceNormalization, ResidualScale, ScalarBias, SReLU


class Call(NamedTuple):
    """A step of a model, to be called on other tensors.

    Args:
        step: The step.
        training: Whether in training mode.
    """

    step: Step
    training: bool

    @property
    def inputs(self) -> tuple[int, ...]:
        """Numbers of the tensors it takes, each once."""
        return tuple(dict.fromkeys(self.step.inputs))

    def __call__(self, *tensors: Any) -> Any:
        """Return what the step makes of one tensor for each of `inputs`."""
        values = dict(zip(self.inputs, tensors, strict=True))
        args, kwargs = tree.map_structure(
            lambda leaf: values[leaf.number] if isinstance(leaf, Slot) else leaf,
            self.step.arguments,
            none_is_leaf=True,
        )
        if isinstance(self.step.operation, keras.layers.Layer):
            kwargs = {**kwargs, "training": self.training}
        with keras.StatelessScope():
            return self.step.operation(*args, **kwargs)


def _affine(call: Call, signals: Sequence[Any], noises: Sequence[Any]) -> Any:
    """Return the linear part of an affine map: f(dx) - f(0)."""
    nothing = [ops.zeros_like(noise[:1]) for noise in noises]
    return call(*noises) - call(*nothing)


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


Rule = Callable[[Call, Sequence[Any], Sequence[Any]], Any]

_AFFINE = (
    keras.layers.Add, keras.layers.Average, keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D, keras.layers.Concatenate, keras.layers.Conv1D,
    keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Conv3D, keras.layers.Cropping2D,
    keras.layers.Dense, keras.layers.DepthwiseConv2D, keras.layers.Dropout, keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D,
    keras.layers.Identity, keras.layers.Normalization, keras.layers.Permute, keras.layers.Rescaling,
    keras.layers.Reshape, keras.layers.SeparableConv2D, keras.layers.SpatialDropout2D,
    keras.layers.Subtract, keras.layers.UpSampling2D, keras.layers.ZeroPadding2D, ResidualScale,
    ScalarBias,
)  # fmt: skip

#: The rules, by class; a class without one takes that of the class it derives from.
RULES: Mapping[type, Rule] = {
    **dict.fromkeys(_AFFINE, _affine),
    keras.layers.BatchNormalization: _batch,
    keras.layers.GroupNormalization: _group,
    keras.layers.LayerNormalization: _layer,
    BatchInstanceNormalization: _batch_instance,
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
    found = (RULES[one] for one in type(operation).__mro__ if one in RULES)
    return next(found, _differentiated)


def noise_after(step: Step, signals: Sequence[Any], noises: Sequence[Any], training: bool) -> Any:
    """Return the noise after a step.

    Args:
        step: The step, which makes one tensor.
        signals: The tensors that it takes, each once.
        noises: The noise of each, of the same shapes.
        training: Whether the model is in training mode.

    Raises:
        DiagnosticsError: It makes several tensors, or has neither a rule nor a derivative.
    """
    if len(step.outputs) != 1:
        raise DiagnosticsError(
            f"{step.name}, a {step.kind}, makes {len(step.outputs)} tensors, and noise is only "
            "followed through operations that make one; measure the part of the model before it"
        )
    return rule(step.operation)(Call(step, training), signals, noises)
