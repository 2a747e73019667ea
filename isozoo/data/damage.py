"""Damaged images in a data set: counted and passed over, up to a limit."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from isozoo.data.samples import Samples, progress
from isozoo.errors import ImageError

_LOG = logging.getLogger(__name__)

# Names in a message that has room for few.
_FEW = 3


class Damage:
    """Counts the damaged images of a split.

    Only what a file holds makes an image damaged. A file that has gone or cannot be read may be
    there again tomorrow, so that a run that passed over it could not be repeated: that is an
    error at once.

    Args:
        limit: How many may be passed over; with 0 the first is an error.
        split: What the split is called, for messages.

    Example:
        >>> damage = Damage(0, "train")
        >>> damage.note(3, ImageError("cannot read 'cat/3.jpg' as an image: truncated"))
        Traceback (most recent call last):
            ...
        isozoo.errors.ImageError: cannot read 'cat/3.jpg' as an image: truncated
    """

    def __init__(self, limit: int, split: str) -> None:
        self.limit = limit
        self.split = split
        self._found: dict[int, str] = {}
        self._lock = threading.Lock()

    @property
    def found(self) -> dict[int, str]:
        """What is wrong with each damaged image that was met, by its number, in order."""
        with self._lock:
            return dict(sorted(self._found.items()))

    def met(self, index: int) -> bool:
        """Say whether an image was counted.

        Args:
            index: Its number.
        """
        return index in self._found

    def note(self, index: int, error: ImageError) -> None:
        """Count a damaged image, once.

        Args:
            index: Its number.
            error: What is wrong with it.

        Raises:
            ImageError: There are more than the limit; the message names the first few.
        """
        with self._lock:
            new = index not in self._found
            self._found[index] = str(error)
            count = len(self._found)
        if count > self.limit:
            if not self.limit:
                raise error
            raise ImageError(
                f"more than {self.limit} damaged images in {self.split}: {self._few()}; mend or "
                "remove them, or allow more (max_damaged)"
            ) from error
        if new:
            _LOG.warning("passing over a damaged image of %s: %s", self.split, error)

    @property
    def summary(self) -> str | None:
        """What was met, in one line; None if nothing was."""
        count = len(self._found)
        if not count:
            return None
        images = "1 damaged image" if count == 1 else f"{count} damaged images"
        return f"{images} of {self.split} passed over: {self._few()}"

    def _few(self) -> str:
        told = list(self.found.values())
        more = f"; and {len(told) - _FEW} more" if len(told) > _FEW else ""
        return "; ".join(told[:_FEW]) + more


class ReplacedImages:
    """Training samples, a damaged image of which is replaced by the next sound one of its class.

    The next after the last is the first. Which one it is depends on nothing but the data, so runs
    stay repeatable, and resuming them exact.

    Args:
        samples: The samples.
        damage: Counts the damaged ones.
    """

    def __init__(self, samples: Samples, damage: Damage) -> None:
        self._samples = samples
        self.damage = damage
        self.classes: tuple[str, ...] = samples.classes
        self.labels: np.ndarray = samples.labels

    def __len__(self) -> int:
        return len(self._samples)

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one sample, or of its replacement.

        Args:
            index: The sample's number.

        Raises:
            ImageError: More images than allowed are damaged, or all of a class.
        """
        for candidate in self._candidates(index):
            if not self.damage.met(candidate):
                try:
                    return self._samples.image(candidate)
                except ImageError as error:
                    self.damage.note(candidate, error)
        name = self.classes[self.labels[index]]
        raise ImageError(f"every image of the class '{name}' in {self.damage.split} is damaged")

    def learn(self, numbers: Iterable[int]) -> None:
        """Count what other processes met, or an earlier one, unless it has been mended.

        Args:
            numbers: Numbers of images.

        Raises:
            ImageError: More images than allowed are damaged, or all of a class.
        """
        for number in numbers:
            if not self.damage.met(number):
                self.image(number)

    def _candidates(self, index: int) -> Iterator[int]:
        """Yield a sample's number and then those that may replace it, which take time to find."""
        yield index
        same = np.flatnonzero(self.labels == self.labels[index])
        yield from np.roll(same, -int(np.searchsorted(same, index)) - 1)[:-1].tolist()


class SoundImages:
    """Samples to measure on: the sound ones of others, in the same order.

    Which these are is known before the first is measured on, so that batches, the shares of several
    processes and the number of images are right. That takes a pass in which all are decoded, but
    with a limit of 0, where a damaged image is an error when it is come to.

    Args:
        samples: The samples.
        damage: Counts the damaged ones.
        workers: Threads that decode; by default one per core.

    Raises:
        ImageError: More images than allowed are damaged, or all.

    Example:
        >>> from isozoo.data import InMemoryImages
        >>> black = np.zeros((4, 4, 3), np.uint8)
        >>> three = InMemoryImages([black, b"damaged", black], [0, 1, 2], ["a", "b", "c"])
        >>> SoundImages(three, Damage(1, "val")).labels.tolist()
        [0, 2]
    """

    def __init__(self, samples: Samples, damage: Damage, *, workers: int | None = None) -> None:
        self._samples = samples
        self.damage = damage
        self.classes: tuple[str, ...] = samples.classes
        numbers = range(len(samples))
        self._numbers = np.array(numbers if damage.limit == 0 else self._sound(workers), int)
        if not len(self._numbers):
            raise ImageError(f"all {len(samples)} images in {damage.split} are damaged")
        self.labels: np.ndarray = samples.labels[self._numbers]

    def __len__(self) -> int:
        return len(self._numbers)

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one sample.

        Args:
            index: Its number among the sound ones.

        Raises:
            ImageError: With a limit of 0, the image is damaged.
        """
        return self._samples.image(int(self._numbers[index]))

    def _sound(self, workers: int | None) -> list[int]:
        """Return the numbers of the sound images, having counted the others in order."""

        def fault(index: int) -> ImageError | None:
            try:
                self._samples.image(index)
            except ImageError as error:
                return error
            return None

        count, sound = len(self._samples), []
        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            faults = pool.map(fault, range(count))
            title = f"Looking for damaged images in {self.damage.split}"
            try:
                for index, error in enumerate(progress(faults, count, title)):
                    if error is None:
                        sound.append(index)
                    else:
                        self.damage.note(index, error)
            finally:
                # Once there are too many, the rest need not be read.
                pool.shutdown(cancel_futures=True)
        return sound
