"""Images and data sets: opening, preprocessing, folders, augmentation and `tf.data` streams.

Importing this package does not import TensorFlow; the two datasets of `isozoo.data.pipeline` do
when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isozoo.data.augment import Augment
from isozoo.data.folder import ImageFolder
from isozoo.data.images import image_paths, open_image
from isozoo.data.preprocessing import IMAGENET, Preprocessing
from isozoo.data.samples import InMemoryImages, Samples, cache_images

if TYPE_CHECKING:
    from isozoo.data.pipeline import evaluation_dataset, steps_per_epoch, training_dataset

__all__ = [
    "IMAGENET",
    "Augment",
    "ImageFolder",
    "InMemoryImages",
    "Preprocessing",
    "Samples",
    "cache_images",
    "evaluation_dataset",
    "image_paths",
    "open_image",
    "steps_per_epoch",
    "training_dataset",
]

_WITH_TENSORFLOW = frozenset({"evaluation_dataset", "steps_per_epoch", "training_dataset"})


def __getattr__(name: str) -> Any:
    """Import the pipeline, and TensorFlow with it, at the first use of one of its functions."""
    if name in _WITH_TENSORFLOW:
        return getattr(importlib.import_module("isozoo.data.pipeline"), name)
    raise AttributeError(f"module 'isozoo.data' has no attribute {name!r}")
