"""The batches of a stream by their number, as arrays: what `tf.data` and Keras read alike.

Every random choice is a function of (seed, epoch, sample) or of (seed, epoch, step), so that any
batch can be made without those before it, in any process. Crops are resized by Pillow, with
antialiasing: on one core that is faster than TensorFlow's antialiased kernels, and it is the
operation of the original ISONet and of `Preprocessing`, so that networks see in training what they
see in use.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from isozoo.data.augment import Augment
from isozoo.data.mixing import paste_boxes
from isozoo.data.preprocessing import Preprocessing
from isozoo.data.samples import Samples, cache_images, prepared_images
from isozoo.errors import DataError

# The third number of a random stream's key, so that no two purposes share their draws.
_ORDER, _VIEW, _MIXING = range(3)


@dataclass(frozen=True)
class Share:
    """Which rows of every global batch one of several processes makes.

    Of n rows those from `index * n // count` up to, but not including, `(index + 1) * n // count`.

    Args:
        index: The process's number, from 0.
        count: How many there are.

    Raises:
        ValueError: The index is not one of `count`.

    Example:
        >>> [Share(index, 2).rows(5) for index in range(2)]
        [range(0, 2), range(2, 5)]
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"share {self.index} is not one of {self.count}, counted from 0")

    def rows(self, batch_size: int) -> range:
        """Return the numbers of the share's rows.

        Args:
            batch_size: Rows of the global batch.
        """
        return range(
            self.index * batch_size // self.count, (self.index + 1) * batch_size // self.count
        )


#: The share of a process that is alone.
WHOLE = Share()


@dataclass(frozen=True)
class TrainingBatch:
    """A share of a training batch before the normalisation.

    Where a batch is mixed, `images` and `labels` hold the share's rows and their partners': row r
    of the global batch is mixed with row n - 1 - r, which is a random other, the batch being in
    random order. The rows held are as many from each end, so the reverse of `images` has the
    partners in place, and `TrainingBatches.own` says which of the mixed rows are the share's.

    Args:
        images: uint8 `(made, size, size, 3)`.
        labels: int32 `(made,)`.
        weights: float32 `(2,)`: what each image and what its label keep, in [0, 1]; the partner has
            the rest. A box of CutMix has been pasted already.
    """

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


class TrainingBatches:
    """Makes the shuffled, augmented training batches of a range of epochs by their number.

    Args:
        samples: The images.
        preprocessing: Gives the mean, the standard deviation and how crops are resized.
        augment: Gives the size and the random changes.
        batch_size: Rows of the global batch.
        seed: A number from 0 up.
        epochs: Epoch numbers from 0 up, each once.
        start_step: Batches of the first epoch to leave out.
        cache: Short side at which to hold all decoded images in memory, or None.
        workers: Threads that fill the cache.
        share: Which rows of each batch to make.

    Raises:
        DataError: There are fewer samples than one batch takes.
        ImageError: With `cache`, an image is damaged.
        ValueError: A number is out of its range, or the preprocessing is not for three channels.
    """

    def __init__(
        self,
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
    ) -> None:
        if preprocessing.channels != 3:
            raise ValueError(
                f"training images are red, green and blue, and the preprocessing is for "
                f"{preprocessing.channels} channels; train on arrays with model.fit"
            )
        self._steps = steps_per_epoch(samples, batch_size)
        _check_range(seed, epochs, start_step, self._steps)
        self.augment = augment
        self.preprocessing = preprocessing
        self.classes = len(samples.classes)
        self.numbers = range(epochs.start * self._steps + start_step, epochs.stop * self._steps)
        """Numbers of the stream's batches: the epoch times the steps per epoch, plus the step."""
        self._samples = samples if cache is None else cache_images(samples, cache, workers=workers)
        self._batch_size = batch_size
        self._seed = seed
        self._rows, self.own = _made_rows(share.rows(batch_size), batch_size, augment.mixes)
        # Two epochs, as batches on both sides of a boundary may be in the making.
        self._order = functools.lru_cache(maxsize=2)(self._new_order)

    @property
    def made(self) -> int:
        """How many rows of each batch are made, partners and all."""
        return len(self._rows)

    def __call__(self, number: int) -> TrainingBatch:
        """Return a batch.

        Args:
            number: One of `numbers`.

        Raises:
            ImageError: An image is damaged.
        """
        epoch, step = divmod(number, self._steps)
        chosen = self._order(epoch)[step * self._batch_size + self._rows]
        size = self.augment.size
        images = np.empty((len(chosen), size, size, 3), np.uint8)
        for row, index in enumerate(chosen.tolist()):
            rng = self._rng(epoch, _VIEW, index)
            pixels = self._samples.image(index)
            images[row] = self.augment(pixels, rng, self.preprocessing.resize_picture)
        mixing = self.augment.mixing(self._rng(epoch, _MIXING, step))
        paste_boxes(images, mixing.box)
        weights = np.array([mixing.pixels, mixing.label], np.float32)
        return TrainingBatch(images, self._samples.labels[chosen], weights)

    def _rng(self, epoch: int, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, epoch, purpose, number))

    def _new_order(self, epoch: int) -> np.ndarray:
        return self._rng(epoch, _ORDER, 0).permutation(len(self._samples))


class EvaluationBatches:
    """Makes the evaluation batch of any number: every sample once, in order.

    Args:
        samples: The images.
        preprocessing: What is done to each.
        batch_size: Rows of the global batch; the last one may have fewer.
        cache: Whether to prepare all images here, once, and hold them in memory.
        workers: Threads that fill the cache.
        share: Which rows of each batch to make.

    Raises:
        ValueError: `batch_size` is not positive.
    """

    def __init__(
        self,
        samples: Samples,
        preprocessing: Preprocessing,
        batch_size: int,
        *,
        cache: bool = False,
        workers: int | None = None,
        share: Share = WHOLE,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, not {batch_size}")
        self._samples = samples
        self._preprocessing = preprocessing
        self._batch_size = batch_size
        self._share = share
        self._prepared = prepared_images(samples, preprocessing, workers=workers) if cache else None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._samples) // self._batch_size)

    def __call__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a batch: normalised images and int32 labels.

        Args:
            number: Its number.

        Raises:
            ImageError: An image is damaged.
        """
        start = number * self._batch_size
        rows = self._share.rows(min(self._batch_size, len(self._samples) - start))
        chosen = range(start + rows.start, start + rows.stop)
        size, channels = self._preprocessing.size, self._preprocessing.channels
        pixels = np.empty((len(chosen), size, size, channels), np.uint8)
        for row, index in enumerate(chosen):
            pixels[row] = self._pixels(index)
        labels = self._samples.labels[chosen.start : chosen.stop]
        return self._preprocessing.normalize(pixels), labels

    def _pixels(self, index: int) -> np.ndarray:
        if self._prepared is None:
            return self._preprocessing.pixels(self._samples.image(index))
        return self._prepared[index]


def steps_per_epoch(samples: Samples, batch_size: int) -> int:
    """Return the number of full batches in one epoch of training.

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


def _made_rows(own: range, batch_size: int, mixes: bool) -> tuple[np.ndarray, slice]:
    """Return the rows to make, and which of them are the share's own."""
    made = set(own) | {batch_size - 1 - row for row in own} if mixes else set(own)
    rows = sorted(made)
    first = rows.index(own.start) if own else 0
    return np.array(rows, int), slice(first, first + len(own))


def _check_range(seed: int, epochs: range, start_step: int, steps: int) -> None:
    if seed < 0:
        raise ValueError(f"seed must not be negative, not {seed}")
    if epochs.step != 1 or epochs.start < 0 or not epochs:
        raise ValueError(f"epochs must be a rising range of numbers from 0 up, not {epochs}")
    if not 0 <= start_step <= steps:
        raise ValueError(f"start_step must be from 0 to {steps}, not {start_step}")
