"""What every layer must do, whatever it computes; `tests/layers/test_every_layer.py` runs it."""

import dataclasses
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf

#: Settings of property tests: the same examples on every run, and few enough to stay quick.
PROPERTY = hypothesis.settings(deadline=None, derandomize=True, max_examples=20)


def numpy(tensor: Any) -> np.ndarray:
    """Return a copy of a tensor or variable as an array."""
    return np.array(tf.convert_to_tensor(tensor))


def gradients(function, *values) -> list[np.ndarray]:
    """Return the gradients of a scalar function at the values: arrays, or variables of Keras."""
    sources = [
        value.value if isinstance(value, keras.Variable) else tf.constant(value) for value in values
    ]
    arguments = [
        value if isinstance(value, keras.Variable) else source
        for value, source in zip(values, sources, strict=True)
    ]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        result = function(*arguments)
    return [numpy(gradient) for gradient in tape.gradient(result, sources)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerCase:
    """What is particular to one layer.

    Args:
        layer: The class.
        options: Its constructor arguments.
        input_shape: Shape of a channels-last input, batch included.
        output_shape: Shape of the output for it.
        trainable: Shape of each trained variable by its name, in order.
        moving: The same of the variables that are not trained.
        channels_first: Arguments that move the channels to axis 1; None if no argument is needed.
        refused: Arguments, an input shape and the error they give.
    """

    layer: type[keras.layers.Layer]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    input_shape: tuple[int, ...] = (4, 6, 8, 12)
    output_shape: tuple[int, ...] = (4, 6, 8, 12)
    trainable: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    moving: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    channels_first: dict[str, Any] = dataclasses.field(default_factory=dict)
    refused: tuple[tuple[dict[str, Any], tuple[int | None, ...], str], ...] = ()

    def inputs(self) -> np.ndarray:
        """Return the same random input on every call."""
        return np.random.default_rng(0).normal(size=self.input_shape).astype("float32")

    def make(self, **more: Any) -> Any:
        """Return the layer, built, with the same variables on every call, none at its start."""
        keras.utils.set_random_seed(0)
        layer = self.layer(**self.options, **more)
        shape = list(self.input_shape)
        if more.keys() & self.channels_first.keys():
            shape.insert(1, shape.pop())
        layer.build(tuple(shape))
        rng = np.random.default_rng(1)
        for variable in layer.weights:
            value = numpy(variable) + 0.1 * rng.normal(size=variable.shape)
            constrain = variable.constraint or (lambda x: x)
            variable.assign(constrain(keras.ops.convert_to_tensor(value, "float32")))
        return layer


def check_weights(case: LayerCase) -> None:
    layer = case.layer(**case.options)
    layer.build((None, *case.input_shape[1:]))
    for variables, expected in (
        (layer.trainable_variables, case.trainable),
        (layer.non_trainable_variables, case.moving),
    ):
        assert {v.name: tuple(v.shape) for v in variables} == expected
        assert {v.dtype for v in variables} <= {"float32"}


def check_config(case: LayerCase) -> None:
    layer = case.layer(name="some_name", **case.options)
    text = json.dumps(layer.get_config())
    twin = case.layer.from_config(json.loads(text))
    assert json.dumps(twin.get_config()) == text
    twin(case.inputs())
    assert json.dumps(twin.get_config()) == text


def check_serialisation(case: LayerCase) -> None:
    layer = case.make()
    record = keras.saving.serialize_keras_object(layer)
    assert record["registered_name"] == f"isozoo>{case.layer.__name__}"
    assert type(keras.saving.deserialize_keras_object(record)) is case.layer
    model = keras.Sequential([keras.Input(case.input_shape[1:]), layer])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(numpy(loaded(case.inputs())), numpy(model(case.inputs())))


def check_shapes(case: LayerCase) -> None:
    x, layer = case.inputs(), case.make()
    assert tuple(layer(x).shape) == case.output_shape
    known = layer(keras.Input(case.input_shape[1:]))
    assert known.shape == (None, *case.output_shape[1:])
    assert known.dtype == "float32"
    inputs = keras.Input((*(None for _ in case.input_shape[1:-1]), case.input_shape[-1]))
    outputs = layer(inputs)
    assert outputs.shape == (*(None for _ in case.output_shape[:-1]), case.output_shape[-1])
    found = keras.Model(inputs, outputs).predict_on_batch(x)
    np.testing.assert_allclose(found, numpy(layer(x)), rtol=1e-5, atol=1e-6)


def check_channels_first(case: LayerCase) -> None:
    x = case.inputs()
    last, first = case.make(), case.make(**case.channels_first)
    for training in (False, True):
        found = numpy(first(np.moveaxis(x, -1, 1), training=training))
        expected = numpy(last(x, training=training))
        np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, rtol=1e-5, atol=1e-6)
    for one, other in zip(first.weights, last.weights, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-6)


def check_mixed_precision(case: LayerCase) -> None:
    expected = numpy(case.make()(case.inputs(), training=True))
    for policy, tolerance in (("mixed_bfloat16", 0.06), ("mixed_float16", 0.008)):
        layer = case.make(dtype=policy)
        found = layer(case.inputs(), training=True)
        assert keras.backend.standardize_dtype(found.dtype) == policy.removeprefix("mixed_")
        assert {v.dtype for v in layer.weights} <= {"float32"}
        error = np.abs(numpy(found).astype("float32") - expected).max()
        assert error < tolerance * np.abs(expected).max()


def check_training_step(case: LayerCase) -> None:
    dense = keras.layers.Dense(case.input_shape[-1], kernel_initializer="orthogonal")
    model = keras.Sequential([keras.Input(case.input_shape[1:]), dense, case.make()])
    target = np.random.default_rng(2).normal(size=case.output_shape).astype("float32")
    before = [numpy(variable) for variable in model.variables]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(case.inputs(), target, epochs=1, verbose=0)
    for old, variable in zip(before, model.variables, strict=True):
        new = numpy(variable)
        assert np.isfinite(new).all(), variable.path
        assert (new != old).any(), variable.path


def check_refusals(case: LayerCase) -> None:
    for options, shape, message in case.refused:
        with pytest.raises(ValueError, match=re.escape(message)):
            case.layer(**options).build(shape)


CHECKS = (
    check_weights,
    check_config,
    check_serialisation,
    check_shapes,
    check_channels_first,
    check_mixed_precision,
    check_training_step,
    check_refusals,
)
