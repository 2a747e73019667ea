"""The encoder of a classification network, with its feature pyramid."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from isozoo.errors import unknown
from isozoo.layers.pooling import resolve_data_format
from isozoo.models.architecture import DTYPES, Architecture
from isozoo.models.blocks import Composer


def resolve_dtype(dtype: str | keras.DTypePolicy | dict | None) -> keras.DTypePolicy:
    """Return a dtype policy by its name or configuration, or Keras's default for None.

    Example:
        >>> resolve_dtype("mixed_bfloat16").compute_dtype
        'bfloat16'
    """
    if dtype is None:
        return keras.config.dtype_policy()
    if isinstance(dtype, str) and dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    return keras.dtype_policies.get(dtype)


def resolve_input_shape(
    input_shape: tuple[int | None, ...] | None, channels: int, data_format: str
) -> tuple[int | None, ...]:
    """Return the shape of one image without the batch, checked against the channels."""
    any_size = (None, None, channels)
    if data_format == "channels_first":
        any_size = (channels, None, None)
    if input_shape is None:
        return any_size
    try:
        shape = tuple(None if side is None else operator.index(side) for side in input_shape)
    except TypeError:
        shape = ()
    axis = -1 if data_format == "channels_last" else 0
    whole = all(side is None or side >= 1 for side in shape)
    if len(shape) != 3 or shape[axis] != channels or not whole:
        raise ValueError(
            f"input_shape {input_shape} does not fit a network of {channels} input channels in "
            f"{data_format}; give {any_size} or the same with fixed height and width"
        )
    return shape


def frozen_config(model: keras.Model, parts: Iterable[keras.layers.Layer]) -> dict[str, Any]:
    """Return the entry of a model's configuration that names its frozen parts, if it has any."""
    names = [part.name for part in parts if not part.trainable]
    return {"frozen": names} if names or not model.trainable else {}


def set_frozen(parts: Iterable[keras.layers.Layer], frozen: Sequence[str] | None) -> None:
    """Freeze the named parts of a model and no others, or leave all as they are for None.

    Args:
        parts: The parts, each before those that it holds, as freezing it freezes them too.
        frozen: What `frozen_config` returned, if it did.
    """
    if frozen is not None:
        for part in parts:
            part.trainable = part.name not in frozen


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
        for residual networks with the CIFAR stem.

    Raises:
        ValueError: `input_shape` has other channels than the architecture.
        UnknownNameError: There is no such dtype.

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
        policy = resolve_dtype(dtype)
        inputs = keras.Input(shape, name="images")
        composer = Composer(architecture, data_format, policy)
        x = composer.stem(inputs)
        log_stride = 2 if architecture.stem == "imagenet" else 0
        # A stage that ends in a max-pool is seen after it.
        log_stride += architecture.pooled
        pyramid = {}
        for stage in range(len(architecture.blocks)):
            x = composer.stage(x, stage + 1)
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

    @property
    def stages(self) -> dict[str, list[keras.layers.Layer]]:
        """The layers of each stage, in order: `"stem"`, then `"s1"`, `"s2"`, ...

        Example:
            >>> from isozoo.models import architecture
            >>> list(Backbone(architecture("r-isonet-8")).stages)
            ['stem', 's1', 's2', 's3']
        """
        names = ["stem", *(f"s{i + 1}" for i in range(len(self.architecture.blocks)))]
        return {
            name: [layer for layer in self.layers if layer.name.split("_")[0] == name]
            for name in names
        }

    def freeze(self, stages: str | Sequence[str]) -> None:
        """Take stages out of training: their weights and running statistics stay what they are.

        A frozen batch normalisation uses its running statistics also in training. Set
        `trainable = True` on layers of `stages` to undo it. A model that is compiled already has
        to be compiled again.

        Args:
            stages: Name of a stage, or several; `"backbone"` is all of them.

        Raises:
            UnknownNameError: There is no such stage; the nearest names are given.

        Example:
            >>> from isozoo.models import architecture
            >>> backbone = Backbone(architecture("r-isonet-8"))
            >>> backbone.freeze(["stem", "s1", "s2"])
            >>> backbone.trainable_variables[0].path.split("/")[0]
            's3_b1_f_a'
        """
        known = self.stages
        names = [stages] if isinstance(stages, str) else list(stages)
        for name in names:
            if name not in (*known, "backbone"):
                raise unknown("stage", str(name), [*known, "backbone"])
        for name in known if "backbone" in names else names:
            for layer in known[name]:
                layer.trainable = False

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, and the names of the frozen layers if there are any."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "architecture": self.architecture.to_dict(),
            "input_shape": list(self.input_shape[1:]),
            "data_format": self.data_format,
            **frozen_config(self, self.layers),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Backbone:
        """Build the model from `get_config`'s result."""
        arguments = dict(config)
        frozen = arguments.pop("frozen", None)
        backbone = cls(**arguments)
        set_frozen(backbone.layers, frozen)
        return backbone
