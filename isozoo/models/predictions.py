"""From logits to named classes, for any network that gives logits; needs NumPy and no Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from isozoo.errors import WeightsError


class Prediction(NamedTuple):
    """One class of one image, as `Classifier.classify` returns it."""

    label: str
    probability: float
    index: int


def classify_pictures(
    pictures: Any,
    logits: Callable[[list[Any]], np.ndarray],
    labels: Sequence[str],
    top: int,
    batch_size: int,
) -> list[list[Prediction]]:
    """Name what is in pictures, a batch at a time.

    Args:
        pictures: One picture or a sequence of them; see `as_list`.
        logits: Turns a list of pictures into logits `(pictures, classes)`.
        labels: One name per class, in the order of the logits.
        top: Number of classes to return, from the most probable; at least 1.
        batch_size: Pictures computed at once, at least 1.

    Returns:
        For each picture, its `top` most probable classes; of equals, the lower number first.

    Raises:
        WeightsError: A logit is NaN or infinite.
        ValueError: `top` or `batch_size` is below 1.

    Example:
        >>> classify_pictures([0.0], lambda x: np.array([[0.0, 0.0, 9.0]]), "abc", 2, 1)[0][1]
        Prediction(label='a', probability=0.00012..., index=0)
    """
    if top < 1 or batch_size < 1:
        raise ValueError(f"top and batch_size must be at least 1, got {top} and {batch_size}")
    pictures = as_list(pictures)
    results = []
    for start in range(0, len(pictures), batch_size):
        found = np.asarray(logits(pictures[start : start + batch_size]))
        check_logits(found, "no class can be named")
        for row in softmax(found):
            order = map(int, np.argsort(-row, kind="stable")[:top])
            results.append([Prediction(labels[i], float(row[i]), i) for i in order])
    return results


def check_logits(logits: np.ndarray, consequence: str) -> None:
    """Refuse logits that are NaN or infinite, as most computations would hide them.

    Args:
        logits: The logits.
        consequence: What cannot be done with them, for the error.

    Raises:
        WeightsError: One is not finite.
    """
    if not np.isfinite(logits).all():
        raise WeightsError(
            f"the network's logits are not finite, so {consequence}; load it with "
            "dtype='float32', and check the weights it was trained to"
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities `exp(logits) / sum(exp(logits))` over the last axis, in float32.

    Example:
        >>> softmax(np.array([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """
    logits = np.asarray(logits, np.float32)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def as_list(pictures: Any) -> list[Any]:
    """Return a list of pictures from one picture or several.

    Example:
        >>> as_list("a.png"), len(as_list(np.zeros((3, 8, 8, 3))))
        (['a.png'], 3)
    """
    if isinstance(pictures, np.ndarray):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, str | os.PathLike) or not isinstance(pictures, Iterable):
        return [pictures]
    # Open files and PIL images are iterable or look like sequences; neither is a list of pictures.
    alone = hasattr(pictures, "read") or hasattr(pictures, "convert")
    return [pictures] if alone else list(pictures)
