"""From a name to a network: with its weights, without its head, or untrained."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence

import keras

from isozoo.models.architecture import architecture
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder
from isozoo.models.variables import copy_variables, named_variables
from isozoo.zoo.locating import locate

logger = logging.getLogger(__name__)


def load(
    name: str | os.PathLike[str],
    *,
    classes: int | Sequence[str] | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
) -> Classifier:
    """Return a classifier with its weights, every file and every variable checked.

    Args:
        name: Name of weights (`"r-isonet-18-w32.imagenette"`), of a network with weights
            (`"r-isonet-18-w32"`, its default tag), or a weights folder. A plain word that names a
            network is that network, also where a folder of that name exists; write `./word` for
            the folder.
        classes: Number of classes, or their labels, of a new, untrained head to put on the
            trained encoder; None keeps the trained head.
        dtype: Dtype policy of the layers; the weights' own if None.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.
        input_shape: Shape of one image; the weights' own (usually any size) if None.

    Returns:
        The classifier. Its `load_report` names the variables that were read and, with `classes`,
        the fresh ones; the same is logged, as a warning if some are
        fresh.

    Raises:
        UnknownNameError: No such network or weights; the nearest names are given.
        WeightsError: The network has no weights, or its folder is missing or damaged.
        ValueError: `input_shape` has other channels than the network, or `classes` is a text.

    Example:
        >>> load("r-isonet-81")
        Traceback (most recent call last):
        isozoo.errors.UnknownNameError: unknown model 'r-isonet-81'; did you mean ...
    """
    if isinstance(classes, str):
        raise ValueError(
            f"classes must be a number or a list of labels, got the text {classes!r}; write "
            f"{classes if classes.isdigit() else [classes]}"
        )
    folder, pins = locate(name)
    model = load_folder(
        folder, dtype=dtype, data_format=data_format, input_shape=input_shape, pins=pins
    )
    if classes is not None:
        model = _with_new_head(model, classes)
    report = model.load_report
    # A warning is shown also where nobody set up logging: an untrained head must be heard of.
    logger.log(
        logging.WARNING if report.fresh else logging.INFO,
        "%s: %d variables read, %d fresh%s",
        report.source,
        len(report.assigned),
        len(report.fresh),
        f" ({', '.join(report.fresh)}): train them before use" if report.fresh else "",
    )
    return model


def load_backbone(
    name: str | os.PathLike[str],
    *,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
) -> Backbone:
    """Return the encoder of `load(name)`, whose `pyramid_outputs` are the stages' feature maps.

    Args:
        name: As for `load`.
        dtype: As for `load`.
        data_format: As for `load`.
        input_shape: As for `load`.

    Returns:
        The encoder, every variable assigned.

    Raises:
        UnknownNameError: As for `load`.
        WeightsError: As for `load`.
        ValueError: As for `load`.
    """
    return load(name, dtype=dtype, data_format=data_format, input_shape=input_shape).backbone


def create(
    name: str,
    classes: int | None = None,
    dropout: float | None = None,
    labels: Sequence[str] | None = None,
    *,
    input_shape: tuple[int | None, ...] | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
) -> Classifier:
    """Return an untrained classifier, initialised as its paper prescribes.

    Args:
        name: Name of an architecture, such as `"isonet-101"`.
        classes: Number of classes; that of the labels, or 1000, if None.
        dropout: Probability of dropping a pooled feature, in [0, 1); the family's if None.
        labels: One name per class; numbers if None.
        input_shape: Shape of one image; height and width of any size if None.
        dtype: Dtype policy of the layers; Keras's default if None.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.

    Returns:
        The classifier.

    Raises:
        UnknownNameError: No such architecture; the nearest names are given.
        ValueError: `labels` and `classes` disagree, or a value is out of its range.

    Example:
        >>> model = create("isonet-8", labels=["cat", "dog"], dropout=0.5)
        >>> model.output_shape, model.architecture.dropout
        ((None, 2), 0.5)
    """
    described = architecture(name)
    if classes is None and labels is not None:
        classes = len(labels)
    changes = {"classes": classes, "dropout": dropout}
    described = described.replace(**{k: v for k, v in changes.items() if v is not None})
    return Classifier(described, labels, None, input_shape, data_format, dtype=dtype)


def _with_new_head(model: Classifier, classes: int | Sequence[str]) -> Classifier:
    """Return the model's encoder under an untrained head."""
    labels = tuple(classes) if isinstance(classes, Sequence) else None
    count = len(classes) if isinstance(classes, Sequence) else classes
    other = Classifier(
        model.architecture.replace(classes=count),
        labels,
        model.preprocessing,
        tuple(model.backbone.input_shape[1:]),
        model.data_format,
        dtype=model.dtype_policy,
    )
    copy_variables(model.backbone, other.backbone)
    head = {layer.name for layer in other.head.layers}
    names = list(named_variables(other))
    fresh = tuple(name for name in names if name.split("/")[0] in head)
    assigned = tuple(name for name in names if name not in fresh)
    other.load_report = dataclasses.replace(model.load_report, assigned=assigned, fresh=fresh)
    return other
