"""Normalisation layers against their formulas and the authors' numbers."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.layers import BatchInstanceNormalization, GroupNormalization
from isozoo.layers.normalization import largest_divisor
from tests.harness import PROPERTY, gradients, numpy
from tests.keyed import generator

TAG, SHAPE = "bin_public", (4, 6, 5, 5)


def drawn(what: str, *shape: int) -> np.ndarray:
    return generator(f"{TAG}_{what}").standard_normal(shape).astype("float32")


@PROPERTY
@given(st.integers(1, 64), st.integers(1, 64))
def test_the_number_of_groups_divides_the_channels_and_no_larger_one_does(channels, wanted):
    layer = GroupNormalization(wanted)
    layer.build((None, 2, 2, channels))
    assert channels % layer.groups == 0
    assert layer.groups <= wanted
    assert all(channels % more for more in range(layer.groups + 1, min(wanted, channels) + 1))
    assert layer.groups == largest_divisor(channels, wanted)


@pytest.mark.parametrize(("groups", "used"), [(32, 12), (5, 4), (3, 3), (1, 1), (-1, 12)])
def test_group_normalisation_is_its_formula(groups, used):
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (2, 5, 4, 12)).astype("float32")
    gamma, beta = rng.normal(size=(2, 12)).astype("float32")
    layer = GroupNormalization(groups)
    layer.build(x.shape)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    parts = x.astype("float64").reshape(2, 5, 4, used, 12 // used)
    mean, variance = parts.mean((1, 2, 4), keepdims=True), parts.var((1, 2, 4), keepdims=True)
    expected = ((parts - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape) * gamma + beta
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def authors(root):
    with np.load(root / "tests" / "golden" / "batch_instance_norm.npz") as stored:
        return dict(stored)


def authors_layer(gate: float, axis: int, **options) -> tuple[BatchInstanceNormalization, ...]:
    """Return a layer with the authors' weights, and their input and cotangent for its axis."""
    x = np.float32(1.5) * drawn("x", *SHAPE) + np.float32(0.5) * drawn("mu", *SHAPE[:2], 1, 1)
    cotangent = drawn("cotangent", *SHAPE)
    if axis == -1:
        x, cotangent = np.moveaxis(x, 1, -1), np.moveaxis(cotangent, 1, -1)
    layer = BatchInstanceNormalization(axis, **options)
    layer.build(x.shape)
    layer.gamma.assign(1 + 0.1 * drawn("weight", 6))
    layer.beta.assign(0.1 * drawn("bias", 6))
    layer.gate.assign(np.full(6, gate))
    layer.moving_mean.assign(0.1 * drawn("running_mean", 6))
    layer.moving_variance.assign(1 + 0.1 * np.abs(drawn("running_var", 6)))
    return layer, x, cotangent


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("gate", [0, 0.3, 1])
def test_batch_instance_normalisation_is_the_authors(authors, gate, axis):
    layer, x, cotangent = authors_layer(gate, axis, gate_learning_rate_multiplier=1.0)

    def close(found, key, rtol=1e-4, atol=2e-5):
        expected = authors[f"rho{gate}_{key}"]
        if found.ndim == 4:
            found = found if axis == 1 else np.moveaxis(found, -1, 1)
            found = found if expected.ndim == 4 else found.ravel()[: expected.size]
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=key)

    close(numpy(layer(x, training=False)), "eval")
    close(numpy(layer(x, training=True)), "train")
    close(numpy(layer.moving_mean), "running_mean_after")
    close(numpy(layer.moving_variance), "running_var_after")

    def objective(x, *weights):
        return keras.ops.sum(layer(x, training=True) * cotangent)

    found = gradients(objective, x, layer.gate, layer.gamma, layer.beta)
    for gradient, key in zip(found, ("x", "gate", "weight", "bias"), strict=True):
        close(gradient, f"grad_{key}", atol=1e-4)


def test_inference_leaves_the_running_statistics_alone():
    layer, x, _ = authors_layer(0.3, 1)
    before = numpy(layer.moving_mean), numpy(layer.moving_variance)
    layer(x, training=False)
    layer.trainable = False
    frozen = numpy(layer(x, training=True))
    np.testing.assert_array_equal(frozen, numpy(layer(x, training=False)))
    np.testing.assert_array_equal(numpy(layer.moving_mean), before[0])
    np.testing.assert_array_equal(numpy(layer.moving_variance), before[1])


def test_the_gate_learns_ten_times_faster():
    def found(**options):
        layer, x, cotangent = authors_layer(0.3, 1, **options)

        def objective(gate, gamma):
            return keras.ops.sum(layer(x, training=True) * cotangent)

        return gradients(objective, layer.gate, layer.gamma)

    (gate, gamma), (plain_gate, plain_gamma) = found(), found(gate_learning_rate_multiplier=1.0)
    np.testing.assert_allclose(gate, 10 * plain_gate, rtol=1e-5)
    np.testing.assert_array_equal(gamma, plain_gamma)


def test_the_gate_starts_at_one_and_takes_no_weight_decay():
    layer = BatchInstanceNormalization()
    layer.build((None, 2, 2, 3))
    np.testing.assert_array_equal(numpy(layer.gate), [1.0, 1.0, 1.0])
    assert layer.gate.weight_decay_multiplier == 0.0


def test_training_keeps_the_gate_between_zero_and_one():
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 12)).astype("float32")
    # Large targets, so that chance decides which gates are pushed up and which down.
    target = np.random.default_rng(1).normal(0.0, 100.0, x.shape).astype("float32")
    layer = BatchInstanceNormalization()
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(100.0), "mse")
    for start in (0.0, 1.0):
        layer.gate.assign(np.full(12, start))
        model.fit(x, target, epochs=1, verbose=0)
        gate = numpy(layer.gate)
        assert gate.min() >= 0.0
        assert gate.max() <= 1.0
        # Half the gates are pushed outwards and stop at the border; the others move inwards.
        assert 0 < (gate == start).sum() < 12


def test_running_statistics_stay_float32_under_mixed_precision():
    x = np.random.default_rng(0).normal(3.0, size=(8, 4, 4, 2)).astype("float16")
    layer = BatchInstanceNormalization(momentum=0.0, dtype="mixed_float16")
    layer(x, training=True)
    exact = x.astype("float64")
    np.testing.assert_allclose(numpy(layer.moving_mean), exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(
        numpy(layer.moving_variance), exact.var((0, 1, 2), ddof=1), rtol=1e-5
    )
