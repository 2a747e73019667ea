"""The Keras network that is written: the same function, in forms that runtimes run better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import keras
from keras import ops

from isozoo.layers import SReLU, SymmetricMaxPooling2D
from isozoo.layers.activation import channel_shape


class FoldableSReLU(SReLU):
    """SReLU as `relu(x - b) + b`, for inference only.

    Runtimes know no convolution with a shifted hinge, but merge a bias, a ReLU and an addition
    into the convolution before them. It rounds twice where `max(x, b)` does not round. `fuse` goes
    further and carries the shifts on into later biases, but leaves numbers of larger range behind,
    and with them a larger error in bfloat16 and int8.
    """

    def call(self, x, training: bool = False):
        """Return the elementwise maximum of `x` and the shift of its channel."""
        shift = ops.reshape(self.shift, channel_shape(len(x.shape), self.axis, self.shift.shape[0]))
        # ONNX Runtime merges a sum with a constant where it leaves a difference alone.
        return ops.relu(x + (-shift)) + shift


class MirroredMaxPooling2D(SymmetricMaxPooling2D):
    """Max pooling that pads with the mirror image of the border instead of minus infinity.

    The result is the same: at most half of a window lies outside, and what is mirrored there lies
    in the other half. Minus infinity has no place among 256 numbers at equal distances.
    """

    outside: ClassVar[dict[str, Any]] = {"mode": "symmetric"}


#: What a layer is replaced by, by the name that the table of formats gives the replacement.
REPLACEMENTS: dict[str, tuple[type[keras.layers.Layer], type[keras.layers.Layer]]] = {
    "foldable shift": (SReLU, FoldableSReLU),
    "mirrored padding": (SymmetricMaxPooling2D, MirroredMaxPooling2D),
}


def rewritten(model: keras.Model, replacements: Iterable[str]) -> keras.Model:
    """Return a copy of a network that computes the same with other layers.

    Args:
        model: The network, which stays as it is.
        replacements: Keys of `REPLACEMENTS`.

    Returns:
        A plain functional model, or `model` itself if nothing is to be replaced.

    Example:
        >>> import numpy as np
        >>> from isozoo.models import architecture
        >>> from isozoo.models.classifier import Classifier
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> images = np.ones((1, 32, 32, 3), "float32")
        >>> np.allclose(rewritten(model, ["foldable shift"])(images), model(images), atol=1e-5)
        True
    """
    kinds = dict(REPLACEMENTS[name] for name in replacements)
    if not kinds:
        return model

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        return kinds.get(type(layer), type(layer)).from_config(layer.get_config())

    other = keras.models.clone_model(model, clone_function=copy, recursive=True)
    other.set_weights(model.get_weights())
    return other
