"""Pooling as the original networks do it."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops


def resolve_data_format(data_format: str | None) -> str:
    """Return the given data format, or Keras's default for None.

    Example:
        >>> resolve_data_format("channels_first")
        'channels_first'
    """
    value = keras.config.image_data_format() if data_format is None else data_format
    if value not in ("channels_last", "channels_first"):
        raise ValueError(
            f"data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
        )
    return value


@keras.saving.register_keras_serializable(package="isozoo")
class SymmetricMaxPooling2D(keras.layers.Layer):
    """Max pooling that pads the same number of pixels on every side, with minus infinity.

    Keras's own `padding="same"` pads an even input on one side only, and padding with zeros would
    win over the negative values that `SReLU` produces; neither equals the original network.

    Args:
        pool_size: Side of the window in pixels.
        strides: Step of the window in pixels.
        padding: Pixels added on each of the four sides; at most `pool_size // 2`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.

    Call arguments:
        x: Tensor `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Returns:
        The pooled tensor, of `(height + 2 * padding - pool_size) // strides + 1` rows.

    Raises:
        ValueError: A window could lie wholly in the padding, or there is no such data format.

    Example:
        >>> import numpy as np
        >>> y = SymmetricMaxPooling2D(3, 2, 1)(-np.ones((1, 4, 4, 1)))
        >>> tuple(y.shape), float(keras.ops.max(y))
        ((1, 2, 2, 1), -1.0)
    """

    #: What is seen outside of the image: minus infinity.
    outside: ClassVar[dict[str, Any]] = {"mode": "constant", "constant_values": float("-inf")}

    def __init__(
        self,
        pool_size: int = 3,
        strides: int = 2,
        padding: int = 1,
        data_format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        if not 0 <= padding <= pool_size // 2:
            raise ValueError(
                f"SymmetricMaxPooling2D: padding {padding} is outside 0..{pool_size // 2}, "
                f"the most that a window of {pool_size} allows"
            )
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.data_format = resolve_data_format(data_format)

    def call(self, x):
        """Pad, then take the maximum of each window."""
        sides, none = (self.padding, self.padding), (0, 0)
        if self.data_format == "channels_last":
            widths = (none, sides, sides, none)
        else:
            widths = (none, none, sides, sides)
        x = ops.pad(x, widths, **self.outside)
        return ops.max_pool(
            x, self.pool_size, self.strides, padding="valid", data_format=self.data_format
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the pooled shape."""
        shape = list(input_shape)
        for axis in (1, 2) if self.data_format == "channels_last" else (2, 3):
            size = shape[axis]
            if size is not None:
                shape[axis] = (size + 2 * self.padding - self.pool_size) // self.strides + 1
        return tuple(shape)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }
