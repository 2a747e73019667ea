"""Which convolutions of a model are held to be isometries, and their penalties together."""

import keras
import numpy as np
import pytest

from isozoo.initializers import Delta
from isozoo.models import architecture
from isozoo.models.backbone import Backbone
from isozoo.regularizers import (
    CONDITIONS,
    OrthogonalConv,
    convolutions,
    is_constrained,
    model_penalty,
    orthogonality_penalty,
)
from tests.harness import numpy


@pytest.mark.parametrize(
    ("shape", "constrained"),
    [((3, 3, 16, 16), True), ((7, 7, 64, 64), False), ((1, 1, 64, 8), True), ((3, 3, 3, 9), False)],
)
def test_large_kernels_and_kernels_on_images_are_not_constrained(shape, constrained):
    layer = keras.layers.Conv2D(shape[3], shape[:2])
    layer.build((None, 8, 8, shape[2]))
    assert is_constrained(layer) is constrained


@pytest.mark.parametrize("name", ["r-isonet-8", "resnet-8", "r-isonet-18-w32"])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_the_first_convolution_is_not_constrained_on_any_number_of_channels(name, channels):
    backbone = Backbone(architecture(name, channels=channels, width=2))
    found = convolutions(backbone)
    assert [layer.name for layer in found if not is_constrained(layer)] == ["stem_conv"]
    penalised = [layer for layer in found if layer.kernel_regularizer is not None]
    assert penalised == (found[1:] if "isonet" in name else [])


def test_the_penalty_of_a_model_is_the_sum_over_its_constrained_convolutions():
    inner = keras.Sequential([keras.Input((14, 14, 6)), keras.layers.Conv2D(4, 3, strides=2)])
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, name="on_the_image")(inputs)
    x = keras.layers.Conv2D(8, 7, padding="same", name="seven_by_seven")(x)
    x = keras.layers.DepthwiseConv2D(3)(x)
    x = keras.layers.Conv2D(8, 3, groups=2, padding="same")(x)
    x = inner(keras.layers.Conv2DTranspose(6, 3)(x))
    model = keras.Model(inputs, x)
    names = ["on_the_image", "seven_by_seven"]
    found = convolutions(model)
    assert [layer.name for layer in found[:2]] == names
    assert len(found) == 4
    grouped, strided = found[2:]
    assert strided is inner.layers[0]
    for condition in CONDITIONS:
        parts = np.split(numpy(grouped.kernel), 2, axis=-1)
        expected = sum(float(orthogonality_penalty(part, 1, condition)) for part in parts)
        expected += float(orthogonality_penalty(strided.kernel, 2, condition))
        np.testing.assert_allclose(float(model_penalty(model, condition)), expected, rtol=1e-5)


def test_a_convolution_that_a_nested_model_shares_counts_once():
    shared = keras.layers.Conv2D(4, 3, padding="same", kernel_regularizer=OrthogonalConv(0.5))
    first, second = keras.Input((6, 6, 4)), keras.Input((6, 6, 4))
    nested = keras.Model(first, shared(first))
    model = keras.Model(second, shared(nested(second)))
    assert convolutions(model) == [shared]
    np.testing.assert_allclose(0.5 * float(model_penalty(model)), float(sum(model.losses)), 1e-6)


def test_a_model_without_convolutions_has_no_penalty():
    assert float(model_penalty(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))) == 0.0


def test_the_penalty_of_delta_kernels_in_a_model_is_zero():
    layer = keras.layers.Conv2D(8, 3, strides=2, kernel_initializer=Delta())
    assert float(model_penalty(keras.Sequential([keras.Input((8, 8, 4)), layer]))) == 0.0
