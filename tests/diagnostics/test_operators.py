"""Every layer is read as the linear operator that it is."""

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics.operators import image_shape, multiply_adds, operators
from isozoo.errors import DiagnosticsError

layers = keras.layers


def only(layer, shape=(8, 8, 4)):
    """Return the operators of a network of one layer, by name."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), layer], name="net")
    return model, {each.name.partition("/")[2]: each for each in operators(model, None)}


def energy(model, shape=(8, 8, 4)):
    """Return the operator as a dense matrix, by columns: what it makes of each unit."""
    units = np.eye(int(np.prod(shape)), dtype="float32").reshape(-1, *shape)
    return keras.ops.convert_to_numpy(model(units)).reshape(len(units), -1).astype("float64")


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (layers.Conv2D(6, 1, strides=2, use_bias=False, name="conv"), [""]),
        (layers.Conv2D(8, 1, groups=2, use_bias=False, name="conv"), [""]),
        (layers.Conv2D(6, 2, strides=2, use_bias=False, name="conv"), [""]),
        (layers.DepthwiseConv2D(2, strides=2, depth_multiplier=2, use_bias=False, name="c"), [""]),
        (layers.Conv2DTranspose(3, 2, strides=2, use_bias=False, name="conv"), ["adjoint"]),
        (layers.Dense(3, use_bias=False, name="dense"), [""]),
    ],
)
def test_operators_without_padding_are_those_of_the_layer(layer, names):
    model, found = only(layer)
    assert list(found) == names
    values = found[names[0]].convolution.singular_values()
    expected = np.linalg.svd(energy(model), compute_uv=False)
    # A dense layer is the same at each position.
    repeats = len(expected) // len(values)
    np.testing.assert_allclose(np.repeat(values, repeats), expected, atol=1e-5)


def test_a_separable_convolution_has_two_parts():
    model, found = only(layers.SeparableConv2D(5, 2, strides=2, use_bias=False, name="conv"))
    depthwise, pointwise = found["depthwise"].convolution, found["pointwise"].convolution
    assert depthwise.groups == 4
    assert depthwise.size == (8, 8)
    assert pointwise.size == (4, 4)
    norm = depthwise.singular_values()[0] * pointwise.singular_values()[0]
    assert np.linalg.norm(energy(model), 2) <= norm + 1e-5


def test_layers_of_other_kinds_are_named():
    _, found = only(layers.Conv1D(3, 2, name="line"), (8, 4))
    (operator,) = found.values()
    assert operator.convolution is None
    assert operator.kind == "Conv1D"


def test_a_dense_layer_is_there_at_each_position():
    model, found = only(layers.Dense(3, use_bias=False, name="dense"))
    expected = np.linalg.svd(energy(model), compute_uv=False)
    np.testing.assert_allclose(
        found[""].convolution.singular_values(), expected[expected > 1e-6], atol=1e-5
    )
    assert multiply_adds(model) == 8 * 8 * 4 * 3


def test_multiply_adds_of_other_kinds_are_not_left_out_in_silence():
    model, _ = only(layers.Conv1D(3, 2, name="line"), (8, 4))
    with pytest.raises(DiagnosticsError, match=r"found the layer line \(Conv1D\), whose kernel"):
        multiply_adds(model)


def test_slopes_for_each_place_are_no_kernels():
    _, found = only(layers.PReLU(name="slopes"))
    assert found == {}


def test_networks_of_any_size_take_that_of_their_preprocessing_or_ask():
    model = Classifier(architecture("isonet-8", classes=2))
    assert image_shape(model, None) == (32, 32, 3)
    assert image_shape(model, (48, 40)) == (48, 40, 3)
    with pytest.raises(DiagnosticsError, match=r"takes images of any size.*give size"):
        image_shape(model.backbone, None)
    # The stem: 32 * 32 positions, 9 taps, 3 channels, 16 filters; of half the side a quarter.
    assert multiply_adds(model, 32) > 32 * 32 * 9 * 3 * 16
    assert multiply_adds(model, 16) - 64 * 2 == (multiply_adds(model, 32) - 64 * 2) // 4


def test_strided_convolutions_with_padding_are_read_at_the_size_that_they_make():
    model = Classifier(architecture("isonet-8", classes=2))
    found = {each.name: each.convolution for each in operators(model, 30)}
    assert found["backbone/s2_b1_f_a"].size == (30, 30)
    assert found["backbone/s3_b1_f_a"].size == (16, 16)
