"""Decides what a name stands for: an exported folder, or weights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import isozoo
from isozoo.export.exported import ExportedClassifier, load_exported
from isozoo.export.sidecar import is_exported
from isozoo.zoo import catalog

if TYPE_CHECKING:
    from isozoo.models.classifier import Classifier


def open_classifier(name: str | os.PathLike[str]) -> Classifier | ExportedClassifier:
    """Open an exported folder in its runtime, or load weights in Keras.

    Args:
        name: Folder that `export_model` wrote, or a name as `isozoo.load` takes it.

    Raises:
        IsozooError: As `load_exported` and `isozoo.load` raise them.

    Example:
        >>> open_classifier("r-isonet-81")
        Traceback (most recent call last):
        isozoo.errors.UnknownNameError: unknown model 'r-isonet-81'; did you mean ...
    """
    return load_exported(name) if means_export(name) else isozoo.load(name)


def means_export(name: str | os.PathLike[str]) -> bool:
    """Say whether a name stands for an exported folder.

    As for `isozoo.load`, a plain word that names a network is that network, also where a folder of
    that name exists; `./word` is the folder.

    Example:
        >>> means_export("r-isonet-18-w32.imagenette")
        False
    """
    text = os.fspath(name)
    plain = isinstance(name, str) and "/" not in text and os.sep not in text
    return is_exported(text) and not (plain and catalog.is_known(text))
