"""What the channels of a network do over batches of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import backend, ops

#: Bins of the histogram that a filter's entropy is of.
BINS = 32
#: Most images whose responses are remembered for the entropy, evenly spread over those seen.
REMEMBERED = 4096


def batches_of(batches: Any, size: int = 64) -> Iterator[np.ndarray]:
    """Yield the images of batches, or of an array `(images, height, width, channels)` in parts."""
    parts = batches
    if hasattr(batches, "shape"):
        parts = (batches[i : i + size] for i in range(0, len(batches), size))
    for batch in parts:
        images = batch[0] if isinstance(batch, tuple | list) else batch
        yield ops.convert_to_numpy(images)


def by_position(output: Any, axis: int) -> np.ndarray:
    """Return feature maps as an array `(images, positions, channels)`, of float32 at least.

    Args:
        output: What a step made; vectors have a single position.
        axis: The axis of channels in feature maps.
    """
    values = _wide(output)
    if values.ndim > 2:
        values = np.moveaxis(values, axis, -1)
    return values.reshape(len(values), -1, values.shape[-1])


def _wide(tensor: Any) -> np.ndarray:
    """Return a tensor's values as NumPy computes with them, which it does not in bfloat16."""
    dtype = backend.result_type(backend.standardize_dtype(tensor.dtype), "float32")
    return ops.convert_to_numpy(ops.cast(tensor, dtype))


class Tally:
    """What is remembered of one activation as batches pass.

    Args:
        floor: What its outputs cannot fall below, a number or one for each channel, if it has any.

    Attributes:
        minimum: Smallest output of each channel.
        maximum: Largest output of each channel.
    """

    def __init__(self, floor: np.ndarray | float | None) -> None:
        self._floor = floor
        self.minimum: Any = np.inf
        self.maximum: Any = -np.inf
        self._on: Any = 0
        self._positions = 0
        self._responses: list[np.ndarray] = []
        self._every = 1
        self._images = 0

    def add(self, values: np.ndarray, dtype: Any = "float32") -> None:
        """Count what the activation made of a batch.

        Args:
            values: `(images, positions, channels)`.
            dtype: What they were computed in, to which the floor was rounded.
        """
        self.minimum = np.minimum(self.minimum, values.min(axis=(0, 1)))
        self.maximum = np.maximum(self.maximum, values.max(axis=(0, 1)))
        if self._floor is not None:
            rounded = ops.cast(self._floor, backend.standardize_dtype(dtype))
            self._floor = _wide(rounded)
            self._on = self._on + (values > self._floor).sum(axis=(0, 1))
        self._positions += values.shape[0] * values.shape[1]
        # Those whose number is a multiple, counted over all batches.
        first = -self._images % self._every
        self._responses += list(values[first :: self._every].mean(axis=1, dtype=np.float64))
        self._images += len(values)
        while len(self._responses) > REMEMBERED:
            self._responses = self._responses[::2]
            self._every *= 2

    @property
    def floor(self) -> np.ndarray | None:
        """The floor of each channel, rounded as the outputs are; None if there is none."""
        return None if self._floor is None else np.broadcast_to(self._floor, self.minimum.shape)

    @property
    def on(self) -> np.ndarray | None:
        """Share of positions at which each channel is above its floor; None without floor."""
        return None if self._floor is None else self._on / self._positions

    @property
    def entropy(self) -> np.ndarray:
        """Entropy in bits of each channel's mean response to an image."""
        return entropy(np.array(self._responses))


def entropy(responses: np.ndarray, bins: int = BINS) -> np.ndarray:
    r"""Return the entropy in bits of each filter's responses.

    $$H = -\sum_k p_k \log_2 p_k$$

    over equal bins between the filter's smallest and its largest response.

    Args:
        responses: `(images, filters)`.
        bins: Number of bins; the entropy is at most its logarithm, and that of the images.

    Example:
        >>> entropy(np.array([[0.0, 5.0], [1.0, 5.0]])).tolist()
        [1.0, 0.0]
    """
    low, high = responses.min(axis=0), responses.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    places = np.minimum((bins * (responses - low) / span).astype(int), bins - 1)
    places += bins * np.arange(responses.shape[1])
    counts = np.bincount(places.ravel(), minlength=bins * responses.shape[1])
    shares = counts.reshape(-1, bins) / len(responses)
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.abs((shares * logs).sum(axis=1))
