"""Statistics of a batch for batch normalisations whose running ones mean nothing yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics.taps import Step, graph, stream


@contextlib.contextmanager
def batch_statistics(model: keras.Model, images: Any) -> Iterator[None]:
    """Lend a model's batch normalisations the statistics of a batch as their running ones.

    In inference mode the model then computes for the batch what it would in training mode, but for
    dropout, and answers each image by itself. An untrained network is measured so where images
    must not depend on each other: its running statistics are zeros and ones, with which its
    normalisations do nothing. Afterwards the model's own statistics are back, to the bit.

    Args:
        model: A functional or sequential model. A normalisation that is used twice gets the mean of
            both statistics; one that is frozen keeps its own, as in training.
        images: A preprocessed batch `(batch, height, width, channels)`.

    Raises:
        DiagnosticsError: The model has no graph.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("resnet-8", classes=2, dropout=0.0))
        >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
        >>> with batch_statistics(model, images):
        ...     np.allclose(model(images), model(images, training=True), atol=1e-4)
        True
    """
    found: dict[int, tuple[Any, list[tuple[Any, Any]]]] = {}
    for step, inputs, _ in stream(graph(model), images, training=_normalizes):
        if _normalizes(step):
            _, moments = found.setdefault(id(step.operation), (step.operation, []))
            moments.append(_moments(inputs[0], step.operation))
    variables = [v for layer, _ in found.values() for v in _running(layer)]
    own = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    try:
        for layer, moments in found.values():
            for variable, values in zip(_running(layer), zip(*moments, strict=True), strict=True):
                variable.assign(sum(values) / len(values))
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)


def _normalizes(step: Step) -> bool:
    """Return whether a step has running statistics that training would not use."""
    running = (getattr(step.operation, name, None) for name in ("moving_mean", "moving_variance"))
    return all(value is not None for value in running) and step.operation.trainable  # pyright: ignore


def _running(layer: Any) -> tuple[Any, Any]:
    return layer.moving_mean, layer.moving_variance


def _moments(tensor: Any, layer: Any) -> tuple[Any, Any]:
    rank = len(tensor.shape)
    kept = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    others = [i for i in range(rank) if i not in {axis % rank for axis in kept}]
    values = ops.cast(tensor, keras.backend.result_type(tensor.dtype, "float32"))
    return ops.moments(values, axes=others)
