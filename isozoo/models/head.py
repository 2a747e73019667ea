"""What turns the last feature map into logits."""

from __future__ import annotations

import random

import keras
from keras import layers

from isozoo.layers import ScalarBias
from isozoo.models.architecture import Architecture
from isozoo.models.backbone import Backbone
from isozoo.models.blocks import ACTIVATIONS

_ZEROS = keras.initializers.Zeros
#: Initialisers of a dense layer's kernel and bias, by the rule for convolutions.
INITIALIZERS = {
    "fixup": lambda units: (_ZEROS(), _ZEROS()),
    "xavier-normal": lambda units: (keras.initializers.GlorotNormal(), _ZEROS()),
}


def torch_default(units: int) -> tuple[keras.initializers.Initializer, ...]:
    """Return PyTorch's default for linear layers: weight and bias within 1 / sqrt(units) of 0.

    Args:
        units: Numbers that the layer takes.
    """
    bound = units**-0.5
    return tuple(keras.initializers.RandomUniform(-bound, bound) for _ in range(2))


def head(architecture: Architecture, backbone: Backbone) -> keras.Model:
    """Return the model from the last feature map to logits.

    Args:
        architecture: The network's description.
        backbone: What makes the feature map.

    Returns:
        Pooling, dropout, the hidden dense layers if there are any, and the classifier.
    """
    policy = backbone.dtype_policy
    features = keras.Input(tuple(backbone.output.shape[1:]), name="features")
    x = layers.GlobalAveragePooling2D(
        data_format=backbone.data_format, dtype=policy, name="head_pool"
    )(features)
    # The seed that Keras would draw. Without one its dropout on PyTorch uses the generator that all
    # share, whose state is in no checkpoint.
    seed = random.randint(1, 10**9)
    x = layers.Dropout(architecture.dropout, seed=seed, dtype=policy, name="head_dropout")(x)
    if architecture.scalar_biases:
        x = ScalarBias(dtype=policy, name="head_bias")(x)
    activation = ACTIVATIONS[architecture.activation]
    for number, units in enumerate(architecture.hidden, start=1):
        name = f"head_hidden{number}"
        x = _dense(architecture, x, units * architecture.pieces, policy, name)
        x = activation.layer(1, axis=-1, dtype=policy, name=f"{name}_relu")(x)
    # Logits stay in float32 under mixed precision, as a softmax over them needs.
    logits = _dense(architecture, x, architecture.classes, policy.variable_dtype, "head_fc")
    return keras.Model(features, logits, name="head")


def _dense(architecture: Architecture, x, units: int, dtype: str | keras.DTypePolicy, name: str):
    kernel, bias = INITIALIZERS.get(architecture.initializer, torch_default)(x.shape[-1])
    return layers.Dense(
        units, kernel_initializer=kernel, bias_initializer=bias, dtype=dtype, name=name
    )(x)
