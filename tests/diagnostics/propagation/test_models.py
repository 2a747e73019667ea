"""Signal and noise through Keras models."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from isozoo import Classifier, architecture
from isozoo.diagnostics.floors import Activation, activation_of
from isozoo.diagnostics.gradients import value_and_jvp
from isozoo.diagnostics.propagation.models import model_propagation, propagation_cost
from isozoo.diagnostics.propagation.noise import RULES, noise_after, rule
from isozoo.diagnostics.taps import steps
from isozoo.errors import DataError, DiagnosticsError
from isozoo.layers import (
    BatchInstanceNormalization,
    Conv2D,
    GroupNormalization,
    ResidualScale,
    ScalarBias,
)


def pictures(count: int = 4, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, size, size, 3)).astype("float32")


def shaken(model: keras.Model) -> keras.Model:
    """Give each weight values of its own, so that no branch is silent and no gain is 1."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "seed" not in variable.path:
            shape = variable.shape
            variable.assign(variable + 0.1 * np.abs(rng.standard_normal(shape)))
    return model


@pytest.mark.parametrize("family", ["r-isonet", "fixup", "resnet"])
def test_noise_is_the_derivative_where_no_statistic_is_an_images_own(family):
    model = shaken(Classifier(architecture(f"{family}-8", classes=3), dtype="float64"))
    images = pictures().astype("float64")
    found = model_propagation(model, images, repeats=1, names=["head/head_fc"])
    rng = np.random.default_rng([0, 0])
    images = images[rng.permutation(len(images))]
    deviation = np.sqrt(images.var(axis=(0, 1, 2)).mean())
    noise = deviation * rng.standard_normal(images.shape)
    values = value_and_jvp(model, [images], [noise])
    logits, expected = (keras.ops.convert_to_numpy(value) for value in values)
    chi = np.sqrt((expected**2).mean() / ((logits - logits.mean(axis=0)) ** 2).mean())
    np.testing.assert_allclose(found.curve("chi", "output").mean, [chi], rtol=1e-6)
    assert found.curve("chi", "input").mean == pytest.approx([1.0], abs=0.05)


def normalized(layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((8, 8, 6), dtype="float64")
    return shaken(keras.Model(inputs, layers.Activation("relu")(layer(inputs))))


@keras.saving.register_keras_serializable(package="tests")
class Squared(layers.Dense):
    def call(self, x, training=False):
        return keras.ops.square(super().call(x))


@keras.saving.register_keras_serializable(package="tests")
class Standardized(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel) ** 2


def test_a_layer_that_computes_something_else_than_its_parent_is_differentiated():
    images = pictures(4, 6).astype("float64")
    for layer in (Squared(3, dtype="float64"), Standardized(3, 3, dtype="float64")):
        inputs = keras.Input((6, 6, 3), dtype="float64")
        model = shaken(keras.Model(inputs, layers.Flatten(dtype="float64")(layer(inputs))))
        found = model_propagation(model, images, repeats=1, names=[layer.name])
        rng = np.random.default_rng([0, 0])
        shown = images[rng.permutation(4)]
        noise = np.sqrt(shown.var(axis=(0, 1, 2)).mean()) * rng.standard_normal(shown.shape)
        expected = float(keras.ops.mean(value_and_jvp(model, [shown], [noise])[1] ** 2))
        measured = np.exp(found.curve("log_mu2_noise", "output").mean)
        np.testing.assert_allclose(measured, [expected], rtol=1e-9)


def test_rules_of_our_own_layers_are_rows():
    """Differentiation of the same layer is the same, but slower."""
    for layer in (Conv2D(2, 3), ResidualScale(), ScalarBias()):
        assert rule(layer) is RULES[layers.Dense]
    assert rule(GroupNormalization(2)) is RULES[layers.GroupNormalization]


def test_a_small_noise_is_not_lost_beside_biases():
    """Each layer makes the noise thousands of times smaller, and the bias stays 1."""
    x = inputs = keras.Input((4, 4, 2))
    for i in range(20):
        kernel = keras.initializers.RandomNormal(stddev=1e-4, seed=i)
        given = {"padding": "same", "kernel_initializer": kernel, "bias_initializer": "ones"}
        x = layers.Conv2D(2, 3, name=f"c{i}", **given)(x)
        x = layers.ReLU(name=f"r{i}")(x)
    model = keras.Model(inputs, x)
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 2))
    kernels = [model.get_layer(f"c{i}").kernel for i in range(20)]
    found = model_propagation(model, images, repeats=1, names=["r19"])
    # All activations are open: the noise is a product of linear maps, in float64.
    rng = np.random.default_rng([0, 0])
    shown = images[rng.permutation(3)]
    noise = np.sqrt(shown.var(axis=(0, 1, 2)).mean()) * rng.standard_normal(shown.shape)
    for kernel in kernels:
        values = keras.ops.convert_to_numpy(kernel).astype("float64")
        noise = keras.ops.convert_to_numpy(
            keras.ops.conv(noise, 1e4 * values, padding="same", data_format="channels_last")
        )
    expected = np.log((noise**2).mean()) - 2 * 20 * np.log(1e4)
    measured = found.curve("log_mu2_noise", "output").mean
    np.testing.assert_allclose(measured, [expected], rtol=1e-4)


@pytest.mark.parametrize("spatial", [False, True])
def test_dropout_drops_of_the_noise_what_it_drops_of_the_signal(spatial):
    layer = (layers.SpatialDropout2D if spatial else layers.Dropout)(0.5)
    inputs = keras.Input((4, 4, 6))
    (step,) = steps(keras.Model(inputs, layer(inputs)))
    rng = np.random.default_rng(0)
    signal = np.abs(rng.standard_normal((2, 4, 4, 6))).astype("float32")
    kept = rng.random((2, 1, 1, 6) if spatial else signal.shape) > 0.5
    signal[0, 0, 0] = 0.0
    noise = rng.standard_normal(signal.shape).astype("float32")
    given = [keras.ops.convert_to_tensor(each) for each in (signal, noise, 2 * signal * kept)]
    found = keras.ops.convert_to_numpy(noise_after(step, given[:1], given[1:2], True, given[2]))
    wanted = 2 * noise * kept
    known = np.broadcast_to(True, signal.shape) if spatial else signal != 0
    np.testing.assert_allclose(found[known], wanted[known], rtol=1e-6)
    unknown = found[~known]
    assert np.isin(np.round(unknown / noise[~known], 5), [0.0, 2.0]).all()


def test_a_dead_network_has_no_direction_and_its_signal_has_vanished():
    x = inputs = keras.Input((4, 4, 2))
    for i in range(4):
        bias = keras.initializers.Constant(-100.0 if i == 1 else 0.0)
        x = layers.Conv2D(3, 3, padding="same", bias_initializer=bias, activation="relu")(x)
    found = model_propagation(keras.Model(inputs, x), pictures(4, 4)[..., :2], repeats=1)
    assert found.verdict == "zero-dimensional signal, vanishing signal"
    assert found.table().row_count


NORMALIZATIONS = {
    "batch": lambda: layers.BatchNormalization(dtype="float64"),
    "group": lambda: layers.GroupNormalization(3, dtype="float64"),
    "layer": lambda: layers.LayerNormalization(dtype="float64"),
    "batch-instance": lambda: BatchInstanceNormalization(dtype="float64"),
}


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_statistics_are_constants(name):
    """By a copy of the layer's own output: affine in the signal, so its slope is the factor."""
    model = normalized(NORMALIZATIONS[name]())
    layer = model.layers[1]
    images = np.random.default_rng(2).normal(size=(5, 8, 8, 6)) * 3 + 1
    batch, image = (0, 1, 2), (1, 2)
    gate = np.array([0.9, 0.7, 0.5, 0.3, 0.1, 0.0])
    if name == "batch-instance":
        layer.gate.assign(gate)
    shares = {
        "batch": [(1.0, batch)], "group": [(1.0, (1, 3))], "layer": [(1.0, (3,))],
        "batch-instance": [(gate, batch), (1 - gate, image)],
    }[name]  # fmt: skip
    found = model_propagation(model, images, repeats=1, names=[layer.name], training=True)
    rng = np.random.default_rng([0, 0])
    images = images[rng.permutation(len(images))]
    noise = np.sqrt(images.var(axis=(0, 1, 2)).mean()) * rng.standard_normal(images.shape)
    grouped = images.reshape(5, 64, 3, 2) if name == "group" else images
    factor = sum(
        share / np.sqrt(grouped.var(axis=axes, keepdims=True) + layer.epsilon)
        for share, axes in shares
    )
    factor = np.broadcast_to(factor, grouped.shape).reshape(images.shape)
    mu2_noise = ((noise * factor * keras.ops.convert_to_numpy(layer.gamma)) ** 2).mean()
    measured = np.exp(found.curve("log_mu2_noise", "output").mean)
    np.testing.assert_allclose(measured, [mu2_noise], rtol=1e-8)


def test_training_mode_leaves_no_trace_and_uses_the_batch():
    model = Classifier(architecture("vanilla-bn-8", classes=2))
    before = [keras.ops.convert_to_numpy(v) for v in model.variables]
    running = model_propagation(model, pictures() * 5, repeats=1)
    of_batch = model_propagation(model, pictures() * 5, repeats=1, training=True)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable))
    signal = np.exp(of_batch.curve("log_nu2", "output").mean)
    np.testing.assert_allclose(signal, 0.5, rtol=0.2)
    assert np.exp(running.curve("log_nu2", "output").mean).max() > 1.0


def test_layers_of_keras_are_differentiated():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, activation="gelu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.DepthwiseConv2D(3)(keras.ops.pad(x, [(0, 0), (1, 0), (0, 1), (0, 0)]) * 2.0)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x + x))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(x))
    found = model_propagation(model, pictures(4, 16), repeats=2)
    assert [name.split("_")[0] for name in found.names] == ["conv2d", "re"]
    images = pictures(4, 16)[np.random.default_rng([0, 0]).permutation(4)]
    noise = np.random.default_rng([0, 0])
    noise.permutation(4)
    noise = np.sqrt(images.var(axis=(0, 1, 2)).mean()) * noise.standard_normal(images.shape)
    _, expected = value_and_jvp(
        keras.Model(inputs, model.layers[-3].output), [images], [noise.astype("float32")]
    )
    mu2 = float(keras.ops.mean(expected**2))
    one = model_propagation(model, pictures(4, 16), repeats=1).curve("log_mu2_noise", "output")
    np.testing.assert_allclose(np.exp(one.mean[-1]), mu2, rtol=1e-4)


def test_both_layouts_measure_the_same():
    found = []
    for axis, data_format in ((-1, "channels_last"), (1, "channels_first")):
        x = inputs = keras.Input((4, 4, 2) if axis == -1 else (2, 4, 4))
        x = layers.ZeroPadding2D(1, data_format=data_format)(x)
        x = layers.ReLU()(layers.GroupNormalization(2, axis=axis)(x))
        images = np.random.default_rng(4).normal(size=(3, 4, 4, 2)) * [1.0, 5.0]
        images = images if axis == -1 else images.transpose(0, 3, 1, 2)
        found.append(model_propagation(keras.Model(inputs, x), images, repeats=1))
    for measure in ("log_nu2", "log_mu2", "reff_signal"):
        ours, theirs = (result.curve(measure, "output").mean for result in found)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class Opaque(keras.layers.Layer):
    def call(self, x):
        return keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(x).round())

    def compute_output_shape(self, shape):
        return shape


def test_refusals_name_what_they_are_about():
    inputs = keras.Input((4, 4, 2))
    hidden = layers.ReLU()(Opaque(name="opaque")(inputs))
    with pytest.raises(DiagnosticsError, match="opaque, a Opaque, for which there is no rule"):
        model_propagation(keras.Model(inputs, hidden), pictures(2, 4)[..., :2], repeats=1)
    with pytest.raises(DiagnosticsError, match="no activation that is known; it has Flatten"):
        model_propagation(keras.Model(inputs, layers.Flatten()(inputs)), np.ones((2, 4, 4, 2)))
    whole = keras.Model(inputs, layers.ReLU()(layers.LayerNormalization((1, 2))(inputs)))
    with pytest.raises(DiagnosticsError, match=r"LayerNormalization over axes \[1, 2\]"):
        model_propagation(whole, np.ones((2, 4, 4, 2)), repeats=1)
    relu = keras.Model(inputs, layers.ReLU()(inputs))
    with pytest.raises(DataError, match="3 repeats of 9 images, got 2 images"):
        model_propagation(relu, np.ones((2, 4, 4, 2)), batch=9)


def test_activations_are_those_that_filters_are_read_of():
    """There is one table of activations, and one axis of channels."""
    inputs = keras.Input((6, 6, 3))
    x = keras.ops.tanh(layers.Conv2D(4, 3)(inputs))
    outputs = layers.Dense(2, activation="softmax")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    kinds = [step.kind for step in steps(model) if activation_of(step) == Activation("Tanh")]
    assert kinds == ["Tanh"]
    assert len(model_propagation(model, images, repeats=1).names) == 1
    pooled = layers.MaxPooling2D(2, data_format="channels_first")(x)
    mixed = keras.Model(inputs, pooled)
    with pytest.raises(DiagnosticsError, match="channels last and others with channels first"):
        model_propagation(mixed, images)


def test_cost_is_said_before():
    model = Classifier(architecture("r-isonet-8", classes=2))
    cost = propagation_cost(model, pictures(8), repeats=2)
    assert str(cost).startswith("signal and noise through ")
    assert (cost.passes, cost.batch) == (4, 8)
    # The largest tensors are 32 x 32 x 16 float32, some of signal and of noise at once.
    assert 2 * 4 * 8 * 2 * 16384 < cost.bytes < 2 * 4 * 8 * 8 * 16384
