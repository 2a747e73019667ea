"""From a name to a network: with its weights, without its head, or untrained."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import keras

from isozoo.models.adapting import adapt, split_classes
from isozoo.models.architecture import architecture
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.models.folder import LoadReport, load_folder
from isozoo.zoo.locating import locate

logger = logging.getLogger(__name__)


def load(
    name: str | os.PathLike[str],
    *,
    classes: int | Sequence[str] | None = None,
    in_channels: int | None = None,
    dropout: float | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    freeze: str | Sequence[str] | None = None,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Classifier:
    """Return a classifier with its weights, every file and every variable checked.

    Args:
        name: Name of weights (`"r-isonet-18-w32.imagenette"`), of a network with weights
            (`"r-isonet-18-w32"`, its default tag), a weights folder, or a Hub repository
            `owner/name`. A plain word that names a network is that network, also where a folder of
            that name exists; write `./word` for the folder.
        classes: Number of classes, or their labels, of a new, untrained head to put on the
            trained encoder; None keeps the trained head.
        in_channels: Number of image channels. The first kernel is adapted so that an input whose
            channels are all equal is answered as before, see
            `isozoo.data.channels.adapted_kernel`; the preprocessing follows.
        dropout: Probability of dropping a pooled feature in training, in [0, 1); the weights' own
            if None.
        dtype: Dtype policy of the layers: `"float32"`, `"bfloat16"`, `"float16"`,
            `"mixed_bfloat16"`, `"mixed_float16"` or `"float64"`; the weights' own if None.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.
        input_shape: Shape of one image; the weights' own (usually any size) if None. If it fixes a
            square, pictures are resized and cropped to that square; fixed to another shape the
            network takes arrays only.
        freeze: Stages to take out of training, of `backbone.stages`: `"stem"`, `"s1"`, `"s2"`, ...,
            one or several, or `"backbone"` for all. Frozen batch normalisation uses its running
            statistics also in training.
        revision: Branch, tag or commit of the Hub repository; the catalog's commit, or `main` of a
            repository that is not in the catalog, if None.
        cache_dir: Where fetched files are kept; huggingface_hub's cache if None.
        token: Access token of the Hub; the saved one if None, none at all if False.
        local_files_only: Whether to look on this machine only.

    Returns:
        The classifier. Its `load_report` names the variables that were read, those that were
        adapted, and the fresh ones; the same is logged, as a warning if some were not read as they
        are.

    Raises:
        UnknownNameError: No such network, weights, dtype or stage; the nearest names are given.
        WeightsError: The network has no weights, its folder is missing or damaged, or a value is
            out of the range of `dtype`.
        ValueError: A value is out of its range, `input_shape` has other channels than the
            network, or `classes` is a text.
        MissingExtraError: The weights are only to be had by conversion, and PyTorch or gdown is
            not installed.
        OSError: A file of a folder here cannot be read, or what is converted cannot be written.

    Example:
        >>> load("r-isonet-81")
        Traceback (most recent call last):
        isozoo.errors.UnknownNameError: unknown model 'r-isonet-81'; did you mean ...
    """
    found = locate(
        name,
        revision=revision,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )
    model = adapt(
        load_folder(found.folder, data_format=data_format, pins=found.pins),
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        dtype=dtype,
        input_shape=input_shape,
    )
    if freeze is not None:
        model.backbone.freeze(freeze)
    _say(model.load_report)
    return model


def load_backbone(
    name: str | os.PathLike[str],
    *,
    in_channels: int | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    freeze: str | Sequence[str] | None = None,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Backbone:
    """Return the encoder of `load(name)`, whose `pyramid_outputs` are the stages' feature maps.

    Args:
        name: As for `load`.
        in_channels: As for `load`.
        dtype: As for `load`.
        data_format: As for `load`.
        input_shape: As for `load`.
        freeze: As for `load`.
        revision: As for `load`.
        cache_dir: As for `load`.
        token: As for `load`.
        local_files_only: As for `load`.

    Returns:
        The encoder, every variable assigned.

    Raises:
        UnknownNameError: As for `load`.
        WeightsError: As for `load`.
        ValueError: As for `load`.
        MissingExtraError: As for `load`.
        OSError: As for `load`.
    """
    return load(
        name,
        in_channels=in_channels,
        dtype=dtype,
        data_format=data_format,
        input_shape=input_shape,
        freeze=freeze,
        revision=revision,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    ).backbone


def create(
    name: str,
    classes: int | Sequence[str] | None = None,
    dropout: float | None = None,
    labels: Sequence[str] | None = None,
    *,
    in_channels: int | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    data_format: str | None = None,
) -> Classifier:
    """Return an untrained classifier, initialised as its paper prescribes.

    Args:
        name: Name of an architecture, such as `"isonet-101"`.
        classes: Number of classes, or their labels; that of `labels`, or 1000, if None.
        dropout: Probability of dropping a pooled feature, in [0, 1); the family's if None.
        labels: One name per class, if `classes` does not give them; numbers if None.
        in_channels: Number of image channels; 3 if None.
        input_shape: Shape of one image; height and width of any size if None.
        dtype: Dtype policy of the layers; Keras's default if None.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.

    Returns:
        The classifier.

    Raises:
        UnknownNameError: No such architecture; the nearest names are given.
        ValueError: `labels` and `classes` disagree or both give labels, labels are not distinct
            texts, or a value is out of its range.

    Example:
        >>> model = create("isonet-8", ["cat", "dog"], dropout=0.5)
        >>> model.output_shape, model.architecture.dropout
        ((None, 2), 0.5)
    """
    described = architecture(name)
    count = None if labels is None else len(labels)
    if classes is not None:
        count, named = split_classes(classes)
        if named is not None and labels is not None:
            raise ValueError("classes and labels both give the names of the classes; give one")
        labels = labels if named is None else named
    changes = {"classes": count, "dropout": dropout, "channels": in_channels}
    described = described.replace(**{k: v for k, v in changes.items() if v is not None})
    return Classifier(described, labels, None, input_shape, data_format, dtype=dtype)


def _say(report: LoadReport) -> None:
    """Log in one line what was read, and what was not read as it is."""
    parts = [f"{len(report.assigned)} variables read"]
    if report.adapted:
        parts.append(f"{len(report.adapted)} adapted ({', '.join(report.adapted)})")
    names = f" ({', '.join(report.fresh)}): train them before use" if report.fresh else ""
    parts.append(f"{len(report.fresh)} fresh{names}")
    # A warning is shown also where nobody set up logging: an untrained head must be heard of.
    level = logging.WARNING if report.fresh or report.adapted else logging.INFO
    logger.log(level, "%s: %s", report.source, ", ".join(parts))
