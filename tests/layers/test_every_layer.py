"""Every layer keeps the contract of the harness."""

import inspect

import keras
import pytest

import isozoo.layers
from isozoo.layers import (
    BatchInstanceNormalization,
    Conv2D,
    GroupNormalization,
    Maxout,
    PReLU,
    ResidualScale,
    ScalarBias,
    SReLU,
    SymmetricMaxPooling2D,
)
from tests.harness import CHECKS, LayerCase

AXIS_1 = {"axis": 1}
UNDEFINED = "the channel axis -1 of input shape (None, 6, 8, None) is undefined; give the input"

CASES = {
    "SReLU": LayerCase(
        layer=SReLU,
        trainable={"shift": (12,)},
        channels_first=AXIS_1,
        refused=(
            ({}, (None, 6, 8, None), UNDEFINED),
            ({"axis": 5}, (None, 3), "SReLU: axis 5 does not exist in input shape (None, 3)"),
        ),
    ),
    "SReLU of vectors": LayerCase(
        layer=SReLU,
        options={"shift_initializer": "zeros"},
        input_shape=(32, 12),
        output_shape=(32, 12),
        trainable={"shift": (12,)},
        channels_first=AXIS_1,
    ),
    "PReLU": LayerCase(
        layer=PReLU,
        trainable={"slope": (12,)},
        channels_first=AXIS_1,
        refused=(({}, (None, 6, 8, None), UNDEFINED),),
    ),
    "Maxout": LayerCase(
        layer=Maxout,
        options={"pieces": 3},
        output_shape=(4, 6, 8, 4),
        channels_first=AXIS_1,
        refused=(
            ({"pieces": 0}, (None, 6, 8, 12), "pieces must be at least 1, got 0"),
            ({"pieces": 5}, (None, 6, 8, 12), "5 pieces do not divide 12 channels; give the layer"),
            ({}, (None, 6, 8, None), UNDEFINED),
        ),
    ),
    "group normalisation": LayerCase(
        layer=GroupNormalization,
        options={"groups": 5},
        trainable={"gamma": (12,), "beta": (12,)},
        channels_first=AXIS_1,
        refused=(
            ({"groups": 0}, (None, 6, 8, 12), "groups must be positive or -1, got 0"),
            ({"groups": -2}, (None, 6, 8, 12), "groups must be positive or -1, got -2"),
            ({}, (None, 6, 8, None), UNDEFINED),
        ),
    ),
    "layer normalisation": LayerCase(
        layer=GroupNormalization,
        options={"groups": 1},
        trainable={"gamma": (12,), "beta": (12,)},
        channels_first=AXIS_1,
    ),
    "instance normalisation": LayerCase(
        layer=GroupNormalization,
        options={"groups": -1},
        trainable={"gamma": (12,), "beta": (12,)},
        channels_first=AXIS_1,
    ),
    "BatchInstanceNormalization": LayerCase(
        layer=BatchInstanceNormalization,
        trainable={"gamma": (12,), "beta": (12,), "gate": (12,)},
        moving={"moving_mean": (12,), "moving_variance": (12,)},
        channels_first=AXIS_1,
        refused=(
            ({"momentum": 1.5}, (None, 6, 8, 12), "momentum must be in [0, 1], got 1.5"),
            ({"momentum": -0.1}, (None, 6, 8, 12), "momentum must be in [0, 1], got -0.1"),
            ({}, (None, 6, 8, None), UNDEFINED),
        ),
    ),
    # As many filters as columns: where Keras's own convolution goes wrong.
    "Conv2D": LayerCase(
        layer=Conv2D,
        options={"filters": 8, "kernel_size": 1},
        output_shape=(4, 6, 8, 8),
        trainable={"kernel": (1, 1, 12, 8), "bias": (8,)},
        channels_first={"data_format": "channels_first"},
    ),
    "ResidualScale": LayerCase(
        layer=ResidualScale, options={"initializer": "ones"}, trainable={"scale": ()}
    ),
    "ScalarBias": LayerCase(layer=ScalarBias, trainable={"bias": ()}),
    "SymmetricMaxPooling2D": LayerCase(
        layer=SymmetricMaxPooling2D,
        output_shape=(4, 3, 4, 12),
        channels_first={"data_format": "channels_first"},
        refused=(
            ({"padding": 2}, (None, 6, 8, 12), "padding 2 is outside 0..1, the most that a window"),
            ({"padding": -1}, (None, 6, 8, 12), "padding -1 is outside 0..1"),
            (
                {"data_format": "channels_second"},
                (None, 6, 8, 12),
                "data_format must be 'channels_last' or 'channels_first', got 'channels_second'",
            ),
        ),
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_layer(case, check):
    check(case)


def test_no_layer_is_left_out():
    layers = {
        member
        for member in vars(isozoo.layers).values()
        if inspect.isclass(member) and issubclass(member, keras.layers.Layer)
    }
    assert layers == {case.layer for case in CASES.values()}
