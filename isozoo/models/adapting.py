"""A trained network made over: another head, other images, another precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from isozoo.data.channels import adapted_kernel
from isozoo.errors import WeightsError, unknown
from isozoo.models.backbone import resolve_input_shape
from isozoo.models.classifier import Classifier
from isozoo.models.variables import named_values, named_variables

#: The one variable whose shape depends on the number of image channels.
STEM_KERNEL = "stem_conv/kernel"
#: Dtypes that files may hold the numbers of wider variables in.
STORAGE = ("float16",)


def adapt(
    model: Classifier,
    *,
    classes: int | Sequence[str] | None = None,
    in_channels: int | None = None,
    dropout: float | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
) -> Classifier:
    """Return a classifier made over, with the trained values wherever they still mean something.

    Args:
        model: The classifier, which stays as it is.
        classes: Number of classes, or their labels, of a new, untrained head; None keeps the head.
        in_channels: Number of image channels. The first kernel is adapted by
            `isozoo.data.channels.adapted_kernel`, the preprocessing by
            `Preprocessing.with_channels`.
        dropout: Probability of dropping a pooled feature in training, in [0, 1).
        dtype: Dtype policy of the layers.
        data_format: `"channels_last"` or `"channels_first"`; the model's own if None.
        input_shape: Shape of one image, in the new data format. If it fixes a square, the
            preprocessing cuts that square, resizing in the old proportion; fixed to another shape
            the network takes arrays only, as pictures are cut to squares.

    Returns:
        The new classifier, or `model` itself if nothing is asked for. If the model has a
        `load_report`, so has the result, with the variables that are fresh or adapted.

    Raises:
        ValueError: A value is out of its range, `classes` is a text or holds labels that are not
            distinct texts, or `input_shape` has other channels than the network.
        WeightsError: A trained value is out of the range of `dtype`.

    Example:
        >>> from isozoo.models import architecture
        >>> model = adapt(Classifier(architecture("isonet-8")), classes=["cat", "dog"])
        >>> model.output_shape, model.labels
        ((None, 2), ('cat', 'dog'))
    """
    asked = (classes, in_channels, dropout, dtype, data_format, input_shape)
    if all(value is None for value in asked):
        return model
    count, labels = (None, model.labels) if classes is None else split_classes(classes)
    changes = {"classes": count, "channels": in_channels, "dropout": dropout}
    described = model.architecture.replace(
        **{name: value for name, value in changes.items() if value is not None}
    )
    preprocessing = model.preprocessing
    if described.channels != preprocessing.channels:
        preprocessing = preprocessing.with_channels(described.channels)
    data_format = data_format or model.data_format
    if input_shape is None:
        input_shape = in_data_format(image_sides(model), described.channels, data_format)
    else:
        input_shape = resolve_input_shape(input_shape, described.channels, data_format)
        preprocessing = preprocessing.with_size(_side(input_shape, data_format))
    other = Classifier(
        described,
        labels,
        preprocessing,
        input_shape,
        data_format,
        dtype=model.dtype_policy if dtype is None else dtype,
    )
    fresh = _names(other.head) if classes is not None else ()
    adapted = (STEM_KERNEL,) if described.channels != model.architecture.channels else ()
    _fill(other, model, fresh, adapted)
    if other.variable_dtype != model.variable_dtype:
        _check_range(other)
    other.provenance = model.provenance
    other.load_report = _report(other, model.load_report, fresh, adapted)
    return other


def rounded(model: Classifier, storage: str | None) -> Classifier:
    """Return a classifier with the numbers that files of a narrower dtype can hold.

    Args:
        model: The classifier, which stays as it is.
        storage: The dtype; nothing is rounded if None.

    Raises:
        UnknownNameError: There is no such storage.
        WeightsError: A variable is out of its range.

    Example:
        >>> from isozoo.models import architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> rounded(model, "float16").dtype_policy.name
        'float32'
    """
    if storage is None:
        return model
    if storage not in STORAGE:
        raise unknown("storage", storage, STORAGE)
    return adapt(adapt(model, dtype=storage), dtype=model.dtype_policy)


def split_classes(classes: int | Sequence[str]) -> tuple[int, Sequence[str] | None]:
    """Return a number of classes and their labels, None if only the number was given.

    Raises:
        ValueError: `classes` is a text.

    Example:
        >>> split_classes(["cat", "dog"]), split_classes(10)
        ((2, ['cat', 'dog']), (10, None))
    """
    if isinstance(classes, str):
        raise ValueError(
            f"classes must be a number or a list of labels, got the text {classes!r}; write "
            f"{classes if classes.isdigit() else [classes]}"
        )
    return (len(classes), classes) if isinstance(classes, Sequence) else (classes, None)


def _side(input_shape: tuple[int | None, ...], data_format: str) -> int | None:
    """Return the side of the images if it is fixed and both sides are equal."""
    height, width = input_shape[:2] if data_format == "channels_last" else input_shape[1:]
    return height if height == width else None


def image_sides(model: Classifier) -> tuple[int | None, int | None]:
    """Return height and width of a classifier's images, None where any will do."""
    shape = model.backbone.input_shape[1:]
    height, width = shape[:2] if model.data_format == "channels_last" else shape[1:]
    return height, width


def in_data_format(
    sides: tuple[int | None, int | None], channels: int, data_format: str
) -> tuple[int | None, ...]:
    """Return the shape of one image.

    Example:
        >>> in_data_format((32, None), 3, "channels_first")
        (3, 32, None)
    """
    return (*sides, channels) if data_format == "channels_last" else (channels, *sides)


def _names(part: keras.Model) -> tuple[str, ...]:
    return tuple(f"{layer.name}/{v.name}" for layer in part.layers for v in layer.weights)


def _fill(
    target: Classifier, source: Classifier, fresh: tuple[str, ...], adapted: tuple[str, ...]
) -> None:
    """Give the target the source's values, but for the fresh ones, and adapt the first kernel."""
    values = named_variables(source)
    for name, variable in named_variables(target).items():
        if name in adapted:
            kernel = np.asarray(values[name])
            variable.assign(adapted_kernel(kernel, target.architecture.channels))
        elif name not in fresh:
            variable.assign(values[name])


def _check_range(model: Classifier) -> None:
    """Refuse a precision in which a trained value became infinite."""
    for name, value in named_values(model).items():
        if not np.isfinite(value).all():
            raise WeightsError(
                f"the variable {name} has values out of the range of {value.dtype}; use "
                "'bfloat16', or 'mixed_float16', which keeps variables in float32"
            )


def _report(
    model: Classifier, before: Any, fresh: tuple[str, ...], adapted: tuple[str, ...]
) -> Any:
    """Return the load report brought up to date, or None if the model was not loaded."""
    if before is None:
        return None
    fresh = tuple(dict.fromkeys((*before.fresh, *fresh)))
    adapted = tuple(dict.fromkeys((*before.adapted, *adapted)))
    assigned = tuple(name for name in named_variables(model) if name not in (*fresh, *adapted))
    return dataclasses.replace(before, assigned=assigned, fresh=fresh, adapted=adapted)
