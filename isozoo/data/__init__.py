"""Images and data sets: opening, preprocessing, folders, augmentation and `tf.data` streams.

Importing this package does not import TensorFlow; the two datasets of `isozoo.data.pipeline` do
when they are first used. The two sequences of `isozoo.data.sequence` are their like for machines
without it. These four have to be named: `from isozoo.data import *` leaves them out, as it would
import TensorFlow and Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.data.augment import Augment
from isozoo.data.batches import Share, steps_per_epoch
from isozoo.data.folder import ImageFolder
from isozoo.data.images import image_paths, open_image
from isozoo.data.preprocessing import IMAGENET, Preprocessing
from isozoo.data.samples import InMemoryImages, Samples, cache_images
from isozoo.data.sources import open_split
from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.data.pipeline import evaluation_dataset as evaluation_dataset
    from isozoo.data.pipeline import training_dataset as training_dataset
    from isozoo.data.sequence import evaluation_sequence as evaluation_sequence
    from isozoo.data.sequence import training_sequence as training_sequence

__all__ = [
    "IMAGENET",
    "Augment",
    "ImageFolder",
    "InMemoryImages",
    "Preprocessing",
    "Samples",
    "Share",
    "cache_images",
    "image_paths",
    "open_image",
    "open_split",
    "steps_per_epoch",
]

_LATER = {
    "evaluation_dataset": ".pipeline",
    "training_dataset": ".pipeline",
    "evaluation_sequence": ".sequence",
    "training_sequence": ".sequence",
}

__getattr__, __dir__ = later(__name__, _LATER)
