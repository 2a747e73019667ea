"""What is said of the features of a box: its class, its exact place and its mask."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from isozoo.detection.settings import DetectionSettings


def box_head(
    classes: int, settings: DetectionSettings, dtype: keras.DTypePolicy | str | None = None
) -> keras.Model:
    """Return the network that names the object in a box and corrects the box.

    Two hidden dense layers with ReLU, and one for the logits and one for offsets of each class.

    Args:
        classes: Number of classes without the background.
        settings: Sizes.
        dtype: Dtype policy of the layers.

    Returns:
        A functional model of features `(boxes, size, size, channels)` with the outputs `logits`
        `(boxes, classes + 1)`, the background last, and `offsets` `(boxes, classes, 4)`, float32.

    Example:
        >>> head = box_head(3, DetectionSettings(box_units=8, channels=4))
        >>> head.output["logits"].shape, head.output["offsets"].shape
        ((None, 4), (None, 3, 4))
    """
    inputs = _features(settings.box_size, settings, dtype)
    x = layers.Flatten(dtype=dtype, name="flat")(inputs)
    for number in (1, 2):
        x = layers.Dense(
            settings.box_units, "relu", kernel_initializer="lecun_uniform", dtype=dtype,
            name=f"hidden_{number}",
        )(x)  # fmt: skip
    logits = layers.Dense(
        classes + 1, kernel_initializer=_normal(0.01), dtype="float32", name="class_logits"
    )(x)
    offsets = layers.Dense(
        4 * classes, kernel_initializer=_normal(0.001), dtype="float32", name="box_offsets"
    )(x)
    offsets = layers.Reshape((classes, 4), dtype="float32", name="of_classes")(offsets)
    return keras.Model(inputs, {"logits": logits, "offsets": offsets}, name="box_head")


def mask_head(
    classes: int, settings: DetectionSettings, dtype: keras.DTypePolicy | str | None = None
) -> keras.Model:
    """Return the network that draws the object in a box.

    3x3 convolutions with ReLU, a transposed one that doubles the sides, and a 1x1 convolution.

    Args:
        classes: Number of classes.
        settings: Sizes.
        dtype: Dtype policy of the layers.

    Returns:
        A functional model from features `(boxes, size, size, channels)` to logits of masks
        `(boxes, 2 size, 2 size, classes)`, float32.

    Example:
        >>> mask_head(3, DetectionSettings(channels=4)).output_shape
        (None, 28, 28, 3)
    """
    inputs = _features(settings.mask_size, settings, dtype)
    x = inputs
    # Detectron2's c2_msra_fill: normal with variance 2 / fan_out.
    fill = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    for number in range(settings.mask_convolutions):
        x = layers.Conv2D(
            settings.channels, 3, padding="same", activation="relu",
            kernel_initializer=fill.clone(), dtype=dtype, name=f"conv_{number + 1}",
        )(x)  # fmt: skip
    x = layers.Conv2DTranspose(
        settings.channels, 2, 2, activation="relu", kernel_initializer=fill.clone(), dtype=dtype,
        name="doubled",
    )(x)  # fmt: skip
    logits = layers.Conv2D(
        classes, 1, kernel_initializer=_normal(0.001), dtype="float32", name="mask_logits"
    )(x)
    return keras.Model(inputs, logits, name="mask_head")


def of_boxes(head: keras.Model, features: Any) -> Any:
    """Return what a head says of boxes.

    Args:
        head: A `box_head` or `mask_head`.
        features: `(batch, boxes, size, size, channels)`.

    Returns:
        The head's outputs, with `(batch, boxes, ...)` in place of `(boxes, ...)`.
    """
    shape = ops.shape(features)
    said = head(ops.reshape(features, (-1, *features.shape[2:])))
    return keras.tree.map_structure(
        lambda value: ops.reshape(value, (shape[0], shape[1], *value.shape[1:])), said
    )


def _features(size: int, settings: DetectionSettings, dtype: keras.DTypePolicy | str | None) -> Any:
    policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
    return keras.Input((size, size, settings.channels), dtype=policy.compute_dtype)


def _normal(deviation: float) -> keras.Initializer:
    return keras.initializers.RandomNormal(stddev=deviation)
