"""How large a network is: its trained values, and the multiplications that one image costs."""

from __future__ import annotations

import math

import keras

from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier


def multiply_adds(model: Classifier) -> int:
    """Return the multiplications of a model's convolutions and dense layers, for one image.

    Args:
        model: A channels-last classifier built for images of one size.
    """
    total = 0
    for layer in [*model.backbone.layers, *model.head.layers]:
        if isinstance(layer, keras.layers.Conv2D):
            spatial = layer.output.shape[1:-1]
            total += math.prod(spatial) * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total


def measure(name: str) -> dict[str, float]:
    """Return the sizes of a network, as `sizes.json` holds them for those that are listed.

    Args:
        name: Name of an architecture.

    Returns:
        `parameters`, the trained values with 1000 classes; and `gflops`, multiply-adds / 1e9 of
        one image of the architecture's usual size, counted as torchvision counts them:
        convolutions and dense layers, without biases, activations and pooling.

    Raises:
        UnknownNameError: There is no such architecture.

    Example:
        >>> measure("isonet-8")
        {'parameters': 139400, 'gflops': 0.012302848}
    """
    described = architecture(name)
    shape = (described.image_size, described.image_size, described.channels)
    # Built without values for its weights, which would take most of the time.
    with keras.StatelessScope(initialize_variables=False):
        model = Classifier(described, input_shape=shape, data_format="channels_last")
    return {
        "parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables),
        "gflops": multiply_adds(model) / 1e9,
    }
