"""Our convolution against Keras's, where Keras's is right."""

import keras
import numpy as np
import pytest

from isozoo.layers import Conv2D
from tests.harness import numpy

X = np.random.default_rng(0).normal(size=(2, 9, 11, 6)).astype("float32")


@pytest.mark.parametrize(
    "options",
    [{}, {"use_bias": False}, {"activation": "relu"}, {"strides": 2}, {"groups": 3}],
    ids=str,
)
def test_channels_last_is_keras_own(options):
    ours, theirs = (layer(12, 3, **options) for layer in (Conv2D, keras.layers.Conv2D))
    expected = theirs(X)
    ours.build(X.shape)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        mine.assign(other)
    np.testing.assert_array_equal(numpy(ours(X)), numpy(expected))


def test_as_many_filters_as_columns_change_nothing():
    layer = Conv2D(12, 3, data_format="channels_first")
    layer.build((None, 6, None, None))
    layer.bias.assign(np.arange(12))
    wide = np.concatenate([X, X], axis=2).transpose(0, 3, 1, 2)
    whole, part = numpy(layer(wide)), numpy(layer(wide[..., :14]))
    assert part.shape[-1] == layer.filters
    np.testing.assert_allclose(part, whole[..., :12], rtol=1e-5, atol=1e-5)
