import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.layers import SReLU
from isozoo.training import TorchSGD


def torch_rule(weight, gradients, rates, momentum, decay, nesterov):
    """The update of torch.optim.SGD, dampening 0, in float64."""
    velocity = np.zeros_like(weight)
    for gradient, rate in zip(gradients, rates, strict=True):
        gradient = gradient + decay * weight
        velocity = momentum * velocity + gradient
        weight = weight - rate * (gradient + momentum * velocity if nesterov else velocity)
    return weight


@settings(max_examples=20, deadline=None)
@given(
    momentum=st.floats(0, 0.99),
    decay=st.floats(0, 0.1),
    nesterov=st.booleans(),
    rates=st.lists(st.floats(1e-3, 0.5), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
def test_equals_torch_also_when_the_rate_changes(momentum, decay, nesterov, rates, seed):
    rng = np.random.default_rng(seed)
    start, gradients = rng.normal(size=4), rng.normal(size=(3, 4))
    weight = keras.Variable(start, dtype="float64")
    optimizer = TorchSGD(0.1, momentum, decay, nesterov)
    optimizer.build([weight])
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float64")], [weight])
    expected = torch_rule(start, gradients, rates, momentum, decay, nesterov)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_the_shift_of_srelu_takes_no_decay():
    layer = SReLU()
    layer.build((None, 3))
    plain = keras.Variable(np.ones(3), dtype="float32")
    optimizer = TorchSGD(0.1, 0.9, weight_decay_factor=0.5)
    optimizer.build([layer.shift, plain])
    zeros = keras.ops.zeros(3)
    optimizer.apply([zeros, zeros], [layer.shift, plain])
    np.testing.assert_array_equal(layer.shift.numpy(), -np.ones(3))
    np.testing.assert_allclose(plain.numpy(), 0.95 * np.ones(3), rtol=1e-6)


def test_survives_serialisation():
    optimizer = TorchSGD(0.2, 0.8, 0.01, nesterov=True, global_clipnorm=1.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, TorchSGD)
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.5}, r"momentum must be in \[0, 1\], got 1.5"),
        ({"weight_decay_factor": -1.0}, "weight_decay_factor must be at least 0, got -1.0"),
        *(
            ({limit: value}, f"TorchSGD: {limit} must be positive or None, got {value}")
            for limit in ("clipnorm", "global_clipnorm")
            for value in (0.0, -1.0, float("nan"), float("inf"))
        ),
    ],
)
def test_refuses_impossible_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        TorchSGD(0.1, **arguments)
