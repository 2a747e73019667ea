"""The `tf.data` streams that training and evaluation read on the TensorFlow backend.

A stream is a `range` of batch numbers mapped to the batches that `isozoo.data.batches` makes, so a
stopped run resumes with the very images it would have seen.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf

from isozoo.data.augment import Augment
from isozoo.data.batches import WHOLE, EvaluationBatches, Share, TrainingBatches
from isozoo.data.batches import steps_per_epoch as steps_per_epoch
from isozoo.data.preprocessing import Preprocessing
from isozoo.data.samples import Samples
from isozoo.errors import ImageError

# Where the streams that are made now put what stops them; None outside of `reading_errors`.
_failures: ContextVar[list[Exception] | None] = ContextVar("failures", default=None)


@contextlib.contextmanager
def reading_errors() -> Iterator[None]:
    """Raise a damaged picture's own error where TensorFlow would raise one of its kinds.

    Streams have to be both made and read inside of the block.

    Raises:
        ImageError: A stream came to a picture that cannot be read; the message names its file.
        OSError: A picture's file has gone or cannot be read.

    Example:
        >>> from isozoo.data import IMAGENET, ImageFolder
        >>> def count(folder):
        ...     with reading_errors():
        ...         return sum(1 for _ in evaluation_dataset(ImageFolder(folder), IMAGENET, 8))
    """
    failures: list[Exception] = []
    token = _failures.set(failures)
    try:
        yield
    except tf.errors.OpError as error:
        if failures:
            raise failures[0] from error
        raise
    finally:
        _failures.reset(token)


def training_dataset(
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
) -> tf.data.Dataset:
    """Return the shuffled, augmented batches of a range of epochs, one after the other.

    Each epoch visits the samples in its own order and drops the last, incomplete batch. The same
    arguments give the same stream, and the batches of epoch e do not depend on where `epochs`
    starts. (NumPy may change its generators' streams between versions.)

    Args:
        samples: The images, for instance an `ImageFolder`.
        preprocessing: Gives the mean, the standard deviation and how crops are resized.
        augment: Gives the size and the random changes.
        batch_size: Images in a batch, over all replicas and processes.
        seed: A number from 0 up.
        epochs: Epoch numbers from 0 up, each once: `range(first, last + 1)`.
        start_step: Batches of the first epoch to leave out, to resume within it.
        cache: Short side at which to hold all decoded images in memory (see `cache_images`), or
            None to decode them anew in each epoch.
        workers: Threads that make batches, by default half of the cores, and that fill the cache,
            by default one per core.
        share: Which rows of each batch this process makes; a batch's shares put together are the
            batch, mixed or not.

    Returns:
        A dataset of known length with elements images, float32
        `(batch_size, size, size, 3)`, and labels, int32 `(batch_size,)`; where batches
        are mixed, labels are float32 `(batch_size, classes)`. Of a share, as many rows as it has.

    Raises:
        DataError: There are fewer samples than one batch takes.
        ImageError: With `cache`, an image is damaged. Without, reading its batch raises
            `tf.errors.InvalidArgumentError`, or this inside of `reading_errors`. Both name the
            file.
        ValueError: A number is out of its range, or the preprocessing is not for three channels.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET, InMemoryImages
        >>> data = InMemoryImages(np.zeros((10, 40, 50, 3), np.uint8), [0] * 10, ["black"])
        >>> stream = training_dataset(data, preprocessing=IMAGENET, augment=Augment(size=32),
        ...                           batch_size=4, seed=0, epochs=range(3))
        >>> images, labels = next(iter(stream))
        >>> len(stream), tuple(images.shape), tuple(labels.shape)
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

    @_recorded
    def make(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        made = batches(int(number))
        return made.images, made.labels, made.weights

    def finish(pixels: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tuple:
        pixels.set_shape((batches.made, augment.size, augment.size, 3))
        labels.set_shape((batches.made,))
        weights.set_shape((2,))
        images = preprocessing.normalize(tf.cast(pixels, tf.float32))
        if not augment.mixes:
            return images, labels
        hot = tf.one_hot(labels, batches.classes)
        return _mixed(images, weights[0])[batches.own], _mixed(hot, weights[1])[batches.own]

    def batch(number: tf.Tensor) -> tuple:
        types = (tf.uint8, tf.int32, tf.float32)
        return finish(*tf.numpy_function(make, [number], types, stateful=False))

    first, last = batches.numbers.start, batches.numbers.stop
    return _stream(tf.data.Dataset.range(first, last), batch, workers)


def evaluation_dataset(
    samples: Samples,
    preprocessing: Preprocessing,
    batch_size: int,
    *,
    cache: bool = False,
    workers: int | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Return every sample once and in order, preprocessed exactly as `classify` does it.

    Args:
        samples: The images, for instance an `ImageFolder`.
        preprocessing: What is done to each.
        batch_size: Images in a batch; the last one may hold fewer.
        cache: Whether to prepare all images here, once, and hold them in memory (see
            `isozoo.data.samples.prepared_images`); the elements are the same to the bit.
        workers: Threads that make batches, by default half of the cores, and that fill the cache,
            by default one per core.
        share: Which rows of each batch this process makes.

    Returns:
        A dataset of known length with elements images, float32 `(batch, size, size, channels)`,
        and labels, int32 `(batch,)`.

    Raises:
        ImageError: With `cache`, an image is damaged; without, see `training_dataset`.
        ValueError: `batch_size` is not positive.

    Example:
        >>> import numpy as np
        >>> from isozoo.data import IMAGENET, InMemoryImages
        >>> data = InMemoryImages(np.zeros((3, 40, 50, 3), np.uint8), [0, 1, 0], ["a", "b"])
        >>> [labels.numpy().tolist() for _, labels in evaluation_dataset(data, IMAGENET, 2)]
        [[0, 1], [0]]
    """
    size = preprocessing.size
    batches = EvaluationBatches(
        samples, preprocessing, batch_size, cache=cache, workers=workers, share=share
    )

    @_recorded
    def make(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return batches(int(number))

    def batch(number: tf.Tensor) -> tuple:
        images, labels = tf.numpy_function(make, [number], (tf.float32, tf.int32), stateful=False)
        images.set_shape((None, size, size, preprocessing.channels))
        labels.set_shape((None,))
        return images, labels

    return _stream(tf.data.Dataset.range(len(batches)), batch, workers)


def _recorded(make: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Let `reading_errors` know the errors of a function that TensorFlow calls in its threads."""
    failures = _failures.get()
    if failures is None:
        return make

    def call(step: np.ndarray) -> Any:
        try:
            return make(step)
        except (ImageError, OSError) as error:
            failures.append(error)
            raise

    return call


def _mixed(values: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    # The batch is in random order already: its reverse pairs every image with a random other.
    return weight * values + (1.0 - weight) * tf.reverse(values, [0])


def _stream(
    steps: tf.data.Dataset, batch: Callable[[tf.Tensor], tuple], workers: int | None
) -> tf.data.Dataset:
    threads = workers or max(1, (os.cpu_count() or 1) // 2)
    options = tf.data.Options()
    options.deterministic = True
    # Its own small pool: the training step keeps the other cores.
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = steps.map(batch, num_parallel_calls=threads, deterministic=True)
    return dataset.prefetch(2).with_options(options)
