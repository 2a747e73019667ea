"""The streams of training and evaluation as Keras reads them without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from isozoo.data.augment import Augment
from isozoo.data.batches import (
    WHOLE,
    EvaluationBatches,
    Share,
    TrainingBatches,
)
from isozoo.data.preprocessing import Preprocessing
from isozoo.data.samples import Samples

# Finished batches that wait, beside those in the making.
_AHEAD = 2


class BatchSequence(keras.utils.PyDataset):
    """Batches by their number, those to come being made by threads in the meantime.

    Keras's own threads begin anew with every epoch of a finite sequence, whose first batches they
    would repeat; these go on where `fit` goes on.

    Args:
        make: Returns the batch of a number.
        numbers: The numbers, in order.
        workers: Threads that make batches, by default half of the cores.
    """

    def __init__(
        self, make: Callable[[int], tuple[Any, Any]], numbers: range, workers: int | None = None
    ) -> None:
        super().__init__()
        self._make = make
        self._numbers = numbers
        threads = workers or max(1, (os.cpu_count() or 1) // 2)
        self._pool = ThreadPoolExecutor(threads)
        self._ahead = threads - 1 + _AHEAD
        self._coming: dict[int, Future[tuple[Any, Any]]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return a batch and see that the next ones are in the making.

        Args:
            index: Its place in the sequence.

        Raises:
            IndexError: There is no such batch.
            ImageError: An image is damaged.
        """
        wanted = self._numbers[index : index + 1 + self._ahead]
        if index < 0 or not wanted:
            raise IndexError(f"batch {index} of {len(self)}")
        coming = self._coming
        self._coming = {
            number: coming.get(number) or self._pool.submit(self._make, number) for number in wanted
        }
        return self._coming.pop(wanted[0]).result()


def training_sequence(
    samples: Samples,
    *,
    preprocessing: Preprocessing,
    augment: Augment,
    batch_size: int,
    seed: int,
    epochs: range,
    start_step: int = 0,
    cache: int | None = None,
    workers: int | None = None,
    share: Share = WHOLE,
) -> BatchSequence:
    """Return the stream of `isozoo.data.pipeline.training_dataset` for any backend of Keras.

    The pictures are the same to the bit, and so are images and labels but for the rounding of the
    normalisation and the mixing.

    Args:
        samples: As there, like the others.
        preprocessing: Gives the mean, the standard deviation and how crops are resized.
        augment: Gives the size and the random changes.
        batch_size: Images in a batch, over all processes.
        seed: A number from 0 up.
        epochs: Epoch numbers from 0 up, each once.
        start_step: Batches of the first epoch to leave out.
        cache: Short side at which to hold all decoded images in memory, or None.
        workers: Threads that make batches, by default half of the cores, and that fill the cache,
            by default one per core.
        share: Which rows of each batch this process makes.

    Returns:
        A `keras.utils.PyDataset` of images, float32 `(rows, size, size, 3)`, and labels, int32
        `(rows,)` or, where batches are mixed, float32 `(rows, classes)`; to be read in order, with
        `shuffle=False`.

    Raises:
        DataError: There are fewer samples than one batch takes.
        ImageError: With `cache`, an image is damaged; without, this is raised as it is read.
        ValueError: A number is out of its range, or the preprocessing is not for three channels.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET, InMemoryImages
        >>> data = InMemoryImages(np.zeros((10, 40, 50, 3), np.uint8), [0] * 10, ["black"])
        >>> stream = training_sequence(data, preprocessing=IMAGENET, augment=Augment(size=32),
        ...                            batch_size=4, seed=0, epochs=range(3))
        >>> images, labels = stream[5]
        >>> len(stream), images.shape, labels.shape
        (6, (4, 32, 32, 3), (4,))
    """
    batches = TrainingBatches(
        samples,
        preprocessing=preprocessing,
        augment=augment,
        batch_size=batch_size,
        seed=seed,
        epochs=epochs,
        start_step=start_step,
        cache=cache,
        workers=workers,
        share=share,
    )

    def make(number: int) -> tuple[np.ndarray, np.ndarray]:
        made = batches(number)
        images = preprocessing.normalize(made.images)
        if not augment.mixes:
            return images, made.labels
        hot = np.eye(batches.classes, dtype=np.float32)[made.labels]
        return (
            _mixed(images, made.weights[0])[batches.own],
            _mixed(hot, made.weights[1])[batches.own],
        )

    return BatchSequence(make, batches.numbers, workers)


def evaluation_sequence(
    samples: Samples,
    preprocessing: Preprocessing,
    batch_size: int,
    *,
    cache: bool = False,
    workers: int | None = None,
    share: Share = WHOLE,
) -> BatchSequence:
    """Return the stream of `isozoo.data.pipeline.evaluation_dataset` for any backend of Keras.

    Args:
        samples: As there, like the others.
        preprocessing: What is done to each.
        batch_size: Images in a batch; the last one may hold fewer.
        cache: Whether to prepare all images here, once, and hold them in memory.
        workers: Threads that make batches, by default half of the cores, and that fill the cache,
            by default one per core.
        share: Which rows of each batch this process makes.

    Returns:
        A `keras.utils.PyDataset` of images, float32 `(rows, size, size, channels)`, and labels,
        int32 `(rows,)`, the same to the bit.

    Raises:
        ImageError: With `cache`, an image is damaged; without, this is raised as it is read.
        ValueError: `batch_size` is not positive.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET, InMemoryImages
        >>> data = InMemoryImages(np.zeros((3, 40, 50, 3), np.uint8), [0, 1, 0], ["a", "b"])
        >>> [labels.tolist() for _, labels in evaluation_sequence(data, IMAGENET, 2)]
        [[0, 1], [0]]
    """
    batches = EvaluationBatches(
        samples, preprocessing, batch_size, cache=cache, workers=workers, share=share
    )
    return BatchSequence(batches, range(len(batches)), workers)


def _mixed(values: np.ndarray, weight: np.float32) -> np.ndarray:
    return weight * values + (np.float32(1) - weight) * values[::-1]
