"""Labelled images with random access, however they are stored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from isozoo.data.images import open_image
from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import DataError

T = TypeVar("T")


class Samples(Protocol):
    """What the training and evaluation pipelines read: labelled images by their number.

    `ImageFolder` and `InMemoryImages` are such collections. Reading must be safe from several
    threads at once.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """int32 labels, `(samples,)`."""
        ...

    def __len__(self) -> int: ...

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one sample.

        Raises:
            ImageError: It is damaged.
        """
        ...


class InMemoryImages:
    """Labelled images that are held in memory, decoded or encoded.

    Args:
        images: A uint8 array `(samples, height, width, 3)`, or a sequence whose items are uint8
            arrays `(height, width, 3)` or the bytes of image files.
        labels: One integer per image, each an index into `classes`.
        classes: Class names.

    Raises:
        DataError: Images and labels differ in number, there are none, or a label has no class.

    Example:
        >>> import numpy as np
        >>> digits = InMemoryImages(np.zeros((2, 8, 8, 3), np.uint8), [1, 0], ["zero", "one"])
        >>> len(digits), digits.image(0).shape, digits.classes[digits.labels[0]]
        (2, (8, 8, 3), 'one')
    """

    def __init__(
        self,
        images: np.ndarray | Sequence[np.ndarray | bytes],
        labels: np.ndarray | Sequence[int],
        classes: Sequence[str],
    ) -> None:
        self._images = images
        self.labels: np.ndarray = np.asarray(labels, np.int32)
        self.classes: tuple[str, ...] = tuple(classes)
        if self.labels.shape != (len(images),) or not len(images):
            raise DataError(
                f"{len(images)} images do not go with labels of shape {self.labels.shape}; "
                "give one label for each image, and at least one"
            )
        check_labels(self.labels, self.classes)

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one image, decoding it if needed.

        Args:
            index: The image's number.

        Returns:
            The pixels.

        Raises:
            ImageError: The bytes are not a sound image.
            DataError: The array is not uint8 with three channels.
        """
        value = self._images[index]
        if isinstance(value, bytes):
            return np.asarray(open_image(value, name=f"image {index}"))
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[-1] != 3:
            raise DataError(
                f"image {index} is {value.dtype} of shape {value.shape}; "
                "expected uint8 (height, width, 3)"
            )
        return value


def check_labels(labels: np.ndarray, classes: Sequence[str]) -> None:
    """Refuse labels, of which there are some, that are no indices into the classes.

    Args:
        labels: The labels.
        classes: Class names.

    Raises:
        DataError: A label has no class.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes):
        raise DataError(f"labels run from {low} to {high} but there are {len(classes)} classes")


def cache_images(
    samples: Samples, short_side: int, *, workers: int | None = None
) -> InMemoryImages:
    """Decode every image once and keep it in memory as uint8, shrunk to a short side.

    Images that are smaller already keep their size. A picture takes about `4 * short_side ** 2`
    bytes: Imagenette's 9,469 training photographs take 0.7 GB at 160.

    Args:
        samples: The images.
        short_side: Longest allowed short side.
        workers: Threads that decode; by default one per core.

    Returns:
        The same samples in the same order, held in memory.

    Raises:
        ImageError: An image is damaged; the error names it.
        ValueError: `short_side` is not positive.
    """
    if short_side < 1:
        raise ValueError(f"the cache's short side must be positive, not {short_side}")

    def read(index: int) -> np.ndarray:
        return shrunk(samples.image(index), short_side)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        images = list(progress(pool.map(read, range(len(samples))), len(samples)))
    return InMemoryImages(images, samples.labels, samples.classes)


def prepared_images(
    samples: Samples, preprocessing: Preprocessing, *, workers: int | None = None
) -> np.ndarray:
    """Decode, resize and crop every image once, all but the normalisation.

    Args:
        samples: The images.
        preprocessing: How a network wants its pictures.
        workers: Threads that decode; by default one per core.

    Returns:
        uint8 `(samples, size, size, channels)` (Imagenette's 3,925 validation photographs take
        0.3 GB at 160).

    Raises:
        ImageError: An image is damaged; the error names it.
    """
    side = preprocessing.size
    images = np.empty((len(samples), side, side, preprocessing.channels), np.uint8)

    def prepare(index: int) -> None:
        images[index] = preprocessing.pixels(samples.image(index))

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for _ in progress(pool.map(prepare, range(len(samples))), len(samples)):
            pass
    return images


def shrunk(pixels: np.ndarray, short_side: int) -> np.ndarray:
    """Return an image whose short side is at most so long.

    Args:
        pixels: uint8 `(height, width, 3)`.
        short_side: In pixels.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short <= short_side:
        return pixels
    size = (short_side * width // short, short_side * height // short)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def progress(items: Iterable[T], total: int, title: str = "Decoding images") -> Iterator[T]:
    """Yield items while a bar shows on the terminal, if there is one, how many are left.

    Args:
        items: The items.
        total: How many they are.
        title: What is being done to them.
    """
    console = Console(stderr=True)
    yield from track(
        items,
        description=title,
        total=total,
        console=console,
        disable=not console.is_terminal,
    )
