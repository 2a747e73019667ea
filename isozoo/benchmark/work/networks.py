"""The networks that are timed: with their weights, or untrained with values that hide no work."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from isozoo.benchmark.measures import Task
from isozoo.errors import unknown
from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.zoo.catalog import info
from isozoo.zoo.loading import create, load


def image_size(task: Task) -> int:
    """Return the side of the images: as set, of the weights' preprocessing, or the network's."""
    record = info(task.contender.name)
    if task.settings.image_size is not None:
        return task.settings.image_size
    if record.metrics:
        return load(record.name).preprocessing.size
    return architecture(record.architecture).image_size


def classifier(task: Task, dtype: str | None = None, **options: Any) -> Classifier:
    """Return a contender's network, channels last, for images of one size.

    Published weights are loaded; other networks are untrained, at random.

    Args:
        task: Names the network and the size.
        dtype: Dtype policy; that of the contender's variants if None.
        options: More for `isozoo.create` or `isozoo.load`.
    """
    record, side = info(task.contender.name), image_size(task)
    options = {
        "input_shape": (side, side, 3),
        "data_format": "channels_last",
        "dtype": dtype or task.contender.preparation.dtype,
        **options,
    }
    if record.metrics:
        return load(record.name, **options)
    return randomised(create(record.architecture, **options))


def application(task: Task) -> keras.Model:
    """Return a network of `keras.applications`, untrained, with logits as its outputs.

    Raises:
        UnknownNameError: There is no such network.
    """
    name = task.contender.name
    known = {key: made for key, made in vars(keras.applications).items() if callable(made)}
    if name not in known:
        raise unknown("network of keras.applications", name, known)
    side = task.settings.image_size or 224
    options = {"weights": None, "classifier_activation": None, "input_shape": (side, side, 3)}
    return randomised(known[name](**options))


def randomised(model: Any) -> Any:
    """Give a network random values, where its initialisation would let a runtime skip work.

    R-ISONet starts with residual scales of 0 and kernels that are mostly zeros: a runtime that
    folds constants may leave out whole branches then, and the speed would not be a trained
    network's.
    """
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        values = rng.normal(size=shape)
        if len(shape) > 1:
            values /= np.sqrt(np.prod(shape[:-1]))
        else:
            values = 0.1 * values + keras.ops.convert_to_numpy(variable)
        variable.assign(values.astype("float32"))
    return model
