"""The kind of stream that goes with Keras's backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import keras


class Streams(NamedTuple):
    """How pictures come to a network.

    Attributes:
        training: Makes the training stream; the arguments of
            `isozoo.data.pipeline.training_dataset`.
        evaluation: Makes the evaluation stream; the arguments of
            `isozoo.data.pipeline.evaluation_dataset`.
        errors: Returns a context in which a stream, made and read inside of it, raises a damaged
            picture's own error.
    """

    training: Callable[..., Any]
    evaluation: Callable[..., Any]
    errors: Callable[[], contextlib.AbstractContextManager[None]]


def streams() -> Streams:
    """Return the streams of `tf.data` on the TensorFlow backend, and those without it on others.

    Both are read by `fit` and by a loop, and their pictures are the same to the bit.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET, InMemoryImages
        >>> data = InMemoryImages(np.zeros((3, 40, 50, 3), np.uint8), [0, 1, 0], ["a", "b"])
        >>> with streams().errors():
        ...     [tuple(images.shape) for images, _ in streams().evaluation(data, IMAGENET, 2)]
        [(2, 224, 224, 3), (1, 224, 224, 3)]
    """
    if keras.config.backend() == "tensorflow":
        from isozoo.data import pipeline

        return Streams(
            pipeline.training_dataset, pipeline.evaluation_dataset, pipeline.reading_errors
        )
    from isozoo.data import sequence

    return Streams(sequence.training_sequence, sequence.evaluation_sequence, contextlib.nullcontext)
