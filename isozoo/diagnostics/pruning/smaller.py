"""A layer with some of its channels: its configuration, and its weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.layers import BatchInstanceNormalization, PReLU, SReLU

Weights = list[np.ndarray]


class Kept(NamedTuple):
    """What a layer keeps, and what it is to make up for.

    Attributes:
        taken: Numbers of the kept channels of its input.
        made: Numbers of the kept channels of its output.
        kernel: Its whole kernel with what removed constant channels did added to a kept one; None
            if there is nothing to add.
        bias: What the other removed channels did on average, for each channel of the output; None
            if nothing.
    """

    taken: np.ndarray
    made: np.ndarray
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None


def _mixing_config(key: str, layer: Any, kept: Kept) -> dict[str, Any]:
    config = {**layer.get_config(), key: len(kept.made)}
    if kept.bias is not None:
        config["use_bias"] = True
    return config


def _mixing_weights(layer: Any, kept: Kept) -> Weights:
    kernel, *rest = (keras.ops.convert_to_numpy(weight) for weight in layer.weights)
    if kept.kernel is not None:
        kernel = kept.kernel
    weights = [kernel[..., kept.taken, :][..., kept.made]]
    if kept.bias is not None:
        bias = rest[0].astype(np.float64) if rest else 0.0
        rest = [bias + kept.bias]
    return [*weights, *(bias[kept.made] for bias in rest)]


def _depthwise_weights(layer: Any, kept: Kept) -> Weights:
    kernel, *rest = layer.get_weights()
    return [kernel[:, :, kept.taken], *(bias[kept.made] for bias in rest)]


def _vectors(layer: Any, kept: Kept) -> Weights:
    # Scales, shifts and running statistics: a number for each channel.
    return [weight[kept.taken] for weight in layer.get_weights()]


def _as_it_is(layer: Any, kept: Kept) -> dict[str, Any]:
    return layer.get_config()


def _grouped_config(layer: Any, kept: Kept) -> dict[str, Any]:
    # Groups of one channel each; Keras's layer forgets that -1 was asked for once it is built.
    config = layer.get_config()
    return {**config, "groups": min(config["groups"], len(kept.made))}


_layers = keras.layers
#: How a layer is made smaller, by its class; all others keep their configuration and weights.
_ROWS: tuple[tuple[tuple[type, ...], Callable[..., dict], Callable[..., Weights]], ...] = (
    ((_layers.DepthwiseConv2D,), _as_it_is, _depthwise_weights),
    ((_layers.Conv2D,), functools.partial(_mixing_config, "filters"), _mixing_weights),
    ((_layers.Dense,), functools.partial(_mixing_config, "units"), _mixing_weights),
    ((_layers.GroupNormalization,), _grouped_config, _vectors),
    (
        (BatchInstanceNormalization, PReLU, SReLU, _layers.BatchNormalization),
        _as_it_is,
        _vectors,
    ),
)


def smaller(layer: keras.layers.Layer, kept: Kept | None, name: str) -> tuple[Any, Weights]:
    """Return a layer with some of its channels, not built, and the weights that it is to get.

    Args:
        layer: The layer, built.
        kept: Which channels, and what to add to the weights; None if it stays as it is.
        name: Name of the new layer.
    """
    config, weights = layer.get_config(), layer.get_weights()
    row = next((each for each in _ROWS if isinstance(layer, each[0])), None)
    if row is not None and kept is not None:
        _, configure, weigh = row
        config, weights = configure(layer, kept), weigh(layer, kept)
    new = type(layer).from_config({**config, "name": name})
    if (role := getattr(layer, "isometric", None)) is not None:
        new.isometric = role
    return new, weights
