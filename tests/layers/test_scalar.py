"""The single numbers of a network: their values, and their learning rates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from isozoo.layers import ResidualScale, ScalarBias, scale_gradient
from isozoo.training.optimizers import TorchSGD
from tests.harness import gradients, numpy

OPTIMIZERS = {
    "plain": lambda rate: keras.optimizers.SGD(rate),
    "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "nesterov": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "weight decay": lambda rate: TorchSGD(rate, momentum=0.9, weight_decay_factor=0.5),
}
X = np.random.default_rng(3).normal(size=(4, 5)).astype("float32")


def path(layer, optimizer, steps: int = 6) -> list[float]:
    """Return the values that a layer's number takes in training."""
    layer.build(X.shape)
    (number,) = layer.trainable_variables
    values = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(X) - 3.0 * X - 1.0) ** 2)
        optimizer.apply(tape.gradient(loss, [number.value]), [number])
        values.append(float(numpy(number)))
    return values


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
@pytest.mark.parametrize("layer", [ResidualScale, ScalarBias])
def test_the_number_moves_as_if_its_learning_rate_were_a_tenth(layer, optimizer):
    found = path(layer("ones"), optimizer(0.3))
    expected = path(layer("ones", learning_rate_multiplier=1.0), optimizer(0.03))
    assert len(set(expected)) == len(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scale_gradient_keeps_every_bit_of_the_value():
    x = np.random.default_rng(0).normal(size=1000).astype("float32")
    np.testing.assert_array_equal(numpy(scale_gradient(tf.constant(x), 0.1)), x)


def test_scale_gradient_scales_the_gradient():
    x = np.array([1.0, -2.0], "float32")
    (found,) = gradients(lambda x: keras.ops.sum(scale_gradient(x, 0.1) ** 2), x)
    np.testing.assert_allclose(found, 0.1 * 2 * x, rtol=1e-6)


def test_the_residual_scale_multiplies_and_starts_at_zero():
    layer = ResidualScale()
    np.testing.assert_array_equal(numpy(layer(X)), np.zeros_like(X))
    layer.scale.assign(2.0)
    np.testing.assert_array_equal(numpy(layer(X)), 2 * X)


def test_the_scalar_bias_adds_and_starts_at_zero():
    layer = ScalarBias()
    np.testing.assert_array_equal(numpy(layer(X)), X)
    layer.bias.assign(2.0)
    np.testing.assert_array_equal(numpy(layer(X)), X + 2)
