"""`golden.npz`: what a network answered when it was written, to compare with on any machine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from keras import ops

from isozoo.models.classifier import Classifier
from isozoo.models.manifest import GOLDEN


def golden_arrays(model: Classifier) -> dict[str, np.ndarray]:
    """Return a fixed picture and what the model makes of it.

    The picture is integer arithmetic on the coordinates, scaled to [-1, 1], so it is the same on
    every machine; its side is the preprocessing's unless the model's own is fixed.

    Args:
        model: A channels-last model.

    Returns:
        `input` `(1, height, width, channels)`, `features` `(1, channels)` after the global average
        pool and `logits` `(1, classes)`, all float32.
    """
    height, width, channels = (
        side or model.preprocessing.size for side in model.backbone.input_shape[1:]
    )
    y, x, c = np.ogrid[:height, :width, :channels]
    picture = ((3 + c) * y + (5 - c) * x + (x * y >> 4)).astype(np.uint8)
    images = (picture[None] / np.float32(127.5) - 1).astype(np.float32)
    features, logits = _features_and_logits(model, images)
    return {"input": images, "features": features, "logits": logits}


def golden_difference(model: Classifier, directory: str | os.PathLike[str]) -> float:
    """Return how far a model's answer is from the one stored in a weights folder.

    Args:
        model: The model loaded from the folder, on any backend, in any precision and data format.
        directory: The folder.

    Returns:
        The largest absolute difference over pooled features and logits.
    """
    with np.load(Path(directory) / GOLDEN, allow_pickle=False) as stored:
        images, features, logits = (stored[key] for key in ("input", "features", "logits"))
    if model.data_format == "channels_first":
        images = images.transpose(0, 3, 1, 2)
    found = _features_and_logits(model, images)
    return max(float(np.abs(a - b).max()) for a, b in zip(found, (features, logits), strict=True))


def _features_and_logits(model: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    maps = model.backbone(images, training=False)
    features = model.head.get_layer("head_pool")(maps)
    logits = model.head(maps, training=False)
    return (
        np.asarray(ops.convert_to_numpy(ops.cast(features, "float32"))),
        np.asarray(ops.convert_to_numpy(ops.cast(logits, "float32"))),
    )
