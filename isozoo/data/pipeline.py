"""The `tf.data` streams that training and evaluation read.

A stream is a `range` of batch numbers mapped to batches, and every random choice is a function of
(seed, epoch, sample), so any batch can be made without those before it and a stopped run resumes
with the very images it would have seen. Crops are resized by Pillow, with antialiasing: on one core
that is faster than TensorFlow's antialiased kernels, and it is the operation of the original
ISONet and of `Preprocessing`, so that networks see in training what they see in use.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf

from isozoo.data.augment import Augment, Resize
from isozoo.data.preprocessing import Preprocessing
from isozoo.data.samples import Samples, cache_images, prepared_images
from isozoo.errors import DataError, ImageError

# The third number of a random stream's key, so that no two purposes share their draws.
_ORDER, _VIEW, _MIXING = range(3)

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
) -> tf.data.Dataset:
    """Return the shuffled, augmented batches of a range of epochs, one after the other.

    Each epoch visits the samples in its own order and drops the last, incomplete batch. The same
    arguments give the same stream, and the batches of epoch e do not depend on where `epochs`
    starts. (NumPy may change its generators' streams between versions.)

    Args:
        samples: The images, for instance an `ImageFolder`.
        preprocessing: Gives the mean, the standard deviation and how crops are resized.
        augment: Gives the size and the random changes.
        batch_size: Images in a batch, over all replicas.
        seed: A number from 0 up.
        epochs: Epoch numbers from 0 up, each once: `range(first, last + 1)`.
        start_step: Batches of the first epoch to leave out, to resume within it.
        cache: Short side at which to hold all decoded images in memory (see `cache_images`), or
            None to decode them anew in each epoch.
        workers: Threads that make batches, by default half of the cores, and that fill the cache,
            by default one per core.

    Returns:
        A dataset of known length with elements images, float32
        `(batch_size, size, size, 3)`, and labels, int32 `(batch_size,)`; with mixup, labels are
        float32 `(batch_size, classes)`.

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
    if preprocessing.channels != 3:
        raise ValueError(
            f"training images are red, green and blue, and the preprocessing is for "
            f"{preprocessing.channels} channels; train on arrays with model.fit"
        )
    steps = steps_per_epoch(samples, batch_size)
    _check_range(seed, epochs, start_step, steps)
    kept = samples if cache is None else cache_images(samples, cache, workers=workers)
    make = _recorded(
        _TrainingBatches(kept, augment, preprocessing.resize_picture, batch_size, seed)
    )
    classes = len(kept.classes)

    def finish(pixels: tf.Tensor, labels: tf.Tensor, weight: tf.Tensor) -> tuple:
        pixels.set_shape((batch_size, augment.size, augment.size, 3))
        labels.set_shape((batch_size,))
        weight.set_shape(())
        images = preprocessing.normalize(tf.cast(pixels, tf.float32))
        if not augment.mixup:
            return images, labels
        return _mixed(images, weight), _mixed(tf.one_hot(labels, classes), weight)

    def batch(step: tf.Tensor) -> tuple:
        types = (tf.uint8, tf.int32, tf.float32)
        return finish(*tf.numpy_function(make, [step], types, stateful=False))

    first, last = epochs.start * steps + start_step, epochs.stop * steps
    return _stream(tf.data.Dataset.range(first, last), batch, workers)


def evaluation_dataset(
    samples: Samples,
    preprocessing: Preprocessing,
    batch_size: int,
    *,
    cache: bool = False,
    workers: int | None = None,
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
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, not {batch_size}")
    size = preprocessing.size
    prepared = prepared_images(samples, preprocessing, workers=workers) if cache else None

    @_recorded
    def make(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = slice(int(step) * batch_size, (int(step) + 1) * batch_size)
        if prepared is not None:
            pixels = prepared[chosen]
        else:
            indices = range(*chosen.indices(len(samples)))
            pixels = np.stack([preprocessing.pixels(samples.image(index)) for index in indices])
        return preprocessing.normalize(pixels), samples.labels[chosen]

    def batch(step: tf.Tensor) -> tuple:
        images, labels = tf.numpy_function(make, [step], (tf.float32, tf.int32), stateful=False)
        images.set_shape((None, size, size, preprocessing.channels))
        labels.set_shape((None,))
        return images, labels

    return _stream(tf.data.Dataset.range(-(-len(samples) // batch_size)), batch, workers)


def steps_per_epoch(samples: Samples, batch_size: int) -> int:
    """Return the number of full batches in one epoch of `training_dataset`.

    Args:
        samples: The training images.
        batch_size: Images in a batch.

    Returns:
        At least 1.

    Raises:
        DataError: There are fewer samples than one batch takes.
        ValueError: `batch_size` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, not {batch_size}")
    if len(samples) < batch_size:
        raise DataError(
            f"{len(samples)} samples do not fill one batch of {batch_size}; lower the batch size"
        )
    return len(samples) // batch_size


class _TrainingBatches:
    """Makes the training batch of any number: uint8 images, int32 labels, mixing weight."""

    def __init__(
        self, samples: Samples, augment: Augment, resize: Resize, batch_size: int, seed: int
    ) -> None:
        self._samples = samples
        self._augment = augment
        self._resize = resize
        self._batch_size = batch_size
        self._seed = seed
        self._steps = steps_per_epoch(samples, batch_size)
        # Two epochs, as batches on both sides of a boundary may be in the making.
        self._order = functools.lru_cache(maxsize=2)(self._new_order)

    def __call__(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.float32]:
        epoch, position = divmod(int(step), self._steps)
        start = position * self._batch_size
        chosen = self._order(epoch)[start : start + self._batch_size]
        size = self._augment.size
        images = np.empty((len(chosen), size, size, 3), np.uint8)
        for row, index in enumerate(chosen.tolist()):
            rng = self._rng(epoch, _VIEW, index)
            images[row] = self._augment(self._samples.image(index), rng, self._resize)
        weight = self._augment.mixing_weight(self._rng(epoch, _MIXING, position))
        return images, self._samples.labels[chosen], np.float32(weight)

    def _rng(self, epoch: int, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, epoch, purpose, number))

    def _new_order(self, epoch: int) -> np.ndarray:
        return self._rng(epoch, _ORDER, 0).permutation(len(self._samples))


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


def _check_range(seed: int, epochs: range, start_step: int, steps: int) -> None:
    if seed < 0:
        raise ValueError(f"seed must not be negative, not {seed}")
    if epochs.step != 1 or epochs.start < 0 or not epochs:
        raise ValueError(f"epochs must be a rising range of numbers from 0 up, not {epochs}")
    if not 0 <= start_step <= steps:
        raise ValueError(f"start_step must be from 0 to {steps}, not {start_step}")
