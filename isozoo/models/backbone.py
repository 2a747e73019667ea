"""The encoder of a classification network, with its feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from isozoo.layers.pooling import resolve_data_format
from isozoo.models.architecture import Architecture
from isozoo.models.blocks import Composer


def resolve_input_shape(
    input_shape: tuple[int | None, ...] | None, channels: int, data_format: str
) -> tuple[int | None, ...]:
    """Return the shape of one image without the batch, checked against the channels."""
    any_size = (None, None, channels)
    if data_format == "channels_first":
        any_size = (channels, None, None)
    if input_shape is None:
        return any_size
    shape = tuple(input_shape)
    axis = -1 if data_format == "channels_last" else 0
    if len(shape) != 3 or shape[axis] != channels:
        raise ValueError(
            f"input_shape {shape} does not fit a network of {channels} input channels in "
            f"{data_format}; give {any_size} or the same with fixed height and width"
        )
    return shape


@keras.saving.register_keras_serializable(package="isozoo")
class Backbone(keras.Model):
    """The convolutional part of a network: images in, the last stage's feature map out.

    Args:
        architecture: The network's description, or its `to_dict()`.
        input_shape: Shape of one image; height and width of any size if None.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.
        dtype: Dtype policy of the layers, such as `"float32"` or `"mixed_bfloat16"`.
        name: Name of the model.
        trainable: Whether the weights are trained.

    Call arguments:
        inputs: Preprocessed images `(batch, height, width, channels)`.

    Returns:
        Feature maps `(batch, height / 32, width / 32, channels)`; a quarter of the input's sides
        for the CIFAR stem.

    Raises:
        ValueError: `input_shape` has other channels than the architecture.

    Example:
        >>> from isozoo.models import architecture
        >>> backbone = Backbone(architecture("r-isonet-18-w32"))
        >>> {level: tensor.shape[-1] for level, tensor in backbone.pyramid_outputs.items()}
        {'P2': 32, 'P3': 64, 'P4': 128, 'P5': 256}
    """

    def __init__(
        self,
        architecture: Architecture | Mapping[str, Any],
        input_shape: tuple[int | None, ...] | None = None,
        data_format: str | None = None,
        *,
        dtype: str | keras.DTypePolicy | dict | None = None,
        name: str | None = None,
        trainable: bool = True,
    ):
        if not isinstance(architecture, Architecture):
            architecture = Architecture.from_dict(architecture)
        data_format = resolve_data_format(data_format)
        shape = resolve_input_shape(input_shape, architecture.channels, data_format)
        policy = (
            keras.dtype_policies.get(dtype) if dtype is not None else keras.config.dtype_policy()
        )
        inputs = keras.Input(shape, name="images")
        composer = Composer(architecture, data_format, policy)
        x = composer.stem(inputs)
        log_stride = 2 if architecture.stem == "imagenet" else 0
        pyramid = {}
        for stage, blocks in enumerate(architecture.blocks):
            for i in range(blocks):
                stride = 2 if stage and i == 0 else 1
                inner = architecture.width * 2**stage
                x = composer.block(x, inner, stride, f"s{stage + 1}_b{i + 1}")
            pyramid[f"P{log_stride + stage}"] = x
        super().__init__(inputs=inputs, outputs=x, name=name or "backbone", trainable=trainable)
        self.dtype_policy = policy
        self.architecture = architecture
        self.data_format = data_format
        self._pyramid_outputs = pyramid

    @property
    def pyramid_outputs(self) -> dict[str, Any]:
        """The last tensor of each stage, keyed `"Pn"` for a stride of 2**n pixels."""
        return dict(self._pyramid_outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "architecture": self.architecture.to_dict(),
            "input_shape": list(self.input_shape[1:]),
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Backbone:
        """Build the model from `get_config`'s result."""
        return cls(**config)
