"""SReLU, PReLU and Maxout against their definitions."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from isozoo.layers import Maxout, PReLU, SReLU
from tests.harness import PROPERTY, gradients, numpy

# TensorFlow takes subnormal numbers for zero.
FLOATS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)


def srelu(shift, **options) -> SReLU:
    layer = SReLU(**options)
    layer.build((None, len(shift)))
    layer.shift.assign(shift)
    return layer


@pytest.mark.parametrize("training", [False, True])
@PROPERTY
@given(
    x=arrays.arrays("float32", (7, 3), elements=FLOATS),
    shift=arrays.arrays("float32", 3, elements=FLOATS),
)
def test_srelu_is_exactly_the_maximum(x, shift, training):
    np.testing.assert_array_equal(numpy(srelu(shift)(x, training=training)), np.maximum(x, shift))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_srelu_is_exact_in_half_precision(dtype):
    x = keras.ops.cast(np.linspace(-3, 3, 997, dtype="float32")[:, None], dtype)
    found = numpy(srelu([-1.0], dtype=f"mixed_{dtype}")(x)).astype("float32")
    np.testing.assert_array_equal(found, np.maximum(numpy(x).astype("float32"), -1.0))


@pytest.mark.parametrize("training", [False, True])
def test_srelu_shows_nan(training):
    x = np.array([[np.nan, np.inf]], "float32")
    found = numpy(srelu([-1.0, -1.0])(x, training=training))
    np.testing.assert_array_equal(found, [[np.nan, np.inf]])


@pytest.mark.parametrize("training", [False, True])
def test_srelu_gives_the_gradient_of_a_tie_to_the_shift(training):
    """As PyTorch's `relu(x - b) + b` does; a network that starts as identity is full of ties."""
    layer = srelu([-1.0])
    x = np.array([[-2.0], [-1.0], [0.5]], "float32")
    upstream = np.array([[3.0], [5.0], [7.0]], "float32")

    def weighted(x, shift):
        return keras.ops.sum(upstream * layer(x, training=training))

    from_x, from_shift = gradients(weighted, x, layer.shift)
    np.testing.assert_array_equal(from_x, [[0.0], [0.0], [7.0]])
    np.testing.assert_array_equal(from_shift, [8.0])


@pytest.mark.parametrize("axis", [-1, 1])
def test_the_gradients_of_srelu_are_the_same_in_training(axis):
    """In training they are written out; else TensorFlow finds them."""
    rng = np.random.default_rng(0)
    x, upstream = (rng.normal(size=(4, 5, 3, 5)).astype("float32") for _ in range(2))
    x[0, 0, 0, 0] = np.nan
    layer = SReLU(axis=axis)
    layer.build(x.shape)
    layer.shift.assign(rng.normal(size=5))
    trained, plain = (
        gradients(
            lambda x, shift, on=on: keras.ops.sum(upstream * layer(x, training=on)), x, layer.shift
        )
        for on in (True, False)
    )
    np.testing.assert_array_equal(trained[0], plain[0])
    np.testing.assert_allclose(trained[1], plain[1], rtol=1e-5)


def test_the_shift_starts_at_minus_one_and_takes_no_weight_decay():
    layer = SReLU()
    layer.build((None, 4))
    np.testing.assert_array_equal(numpy(layer.shift), [-1.0] * 4)
    assert layer.shift.weight_decay_multiplier == 0.0


@PROPERTY
@given(
    pieces=st.integers(1, 4),
    channels=st.integers(1, 4),
    axis=st.sampled_from([1, 2, 3, -1]),
    seed=st.integers(0, 99),
)
def test_maxout_is_the_maximum_of_consecutive_channels(pieces, channels, axis, seed):
    shape = [2, 3, 3, 3]
    shape[axis] = pieces * channels
    x = np.random.default_rng(seed).normal(size=shape).astype("float32")
    expected = np.stack(
        [np.take(x, range(j * pieces, (j + 1) * pieces), axis).max(axis) for j in range(channels)],
        axis,
    )
    np.testing.assert_array_equal(numpy(Maxout(pieces, axis)(x)), expected)


@PROPERTY
@given(
    x=arrays.arrays("float32", (7, 3), elements=FLOATS),
    slope=arrays.arrays("float32", 3, elements=st.floats(-2, 2, width=32, allow_subnormal=False)),
)
def test_prelu_is_its_formula(x, slope):
    layer = PReLU()
    layer.build((None, 3))
    assert numpy(layer.slope).tolist() == [0.25] * 3
    assert layer.slope.weight_decay_multiplier == 0.0
    layer.slope.assign(slope)
    # A product too small for a normal number may be 0.
    tiny = np.finfo("float32").tiny
    np.testing.assert_allclose(numpy(layer(x)), np.where(x > 0, x, slope * x), rtol=0, atol=tiny)
