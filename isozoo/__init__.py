"""isozoo: isometric networks for Keras 3, with weights that say how they were made.

Importing this package is cheap on purpose: it brings in neither Keras nor NumPy. Every public name
below is looked up in its own module the first time it is used (PEP 562).

Example:
    >>> import isozoo
    >>> "r-isonet-18-w32" in isozoo.list_models("r-isonet-*")
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isozoo.registration import register_with_keras

if TYPE_CHECKING:
    from isozoo import (
        benchmark,
        cluster,
        data,
        diagnostics,
        export,
        initializers,
        layers,
        models,
        regularizers,
        training,
        zoo,
    )
    from isozoo.data.preprocessing import Preprocessing
    from isozoo.errors import IsozooError
    from isozoo.models.architecture import Architecture, architecture
    from isozoo.models.backbone import Backbone
    from isozoo.models.classifier import Classifier, Prediction
    from isozoo.zoo.catalog import info, list_models
    from isozoo.zoo.loading import create, load, load_backbone

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "Backbone",
    "Classifier",
    "IsozooError",
    "Prediction",
    "Preprocessing",
    "__version__",
    "architecture",
    "benchmark",
    "cluster",
    "create",
    "data",
    "diagnostics",
    "export",
    "info",
    "initializers",
    "layers",
    "list_models",
    "load",
    "load_backbone",
    "models",
    "regularizers",
    "training",
    "zoo",
]

_HOME = {
    "Architecture": "isozoo.models.architecture",
    "Backbone": "isozoo.models.backbone",
    "Classifier": "isozoo.models.classifier",
    "IsozooError": "isozoo.errors",
    "Prediction": "isozoo.models.classifier",
    "Preprocessing": "isozoo.data.preprocessing",
    "architecture": "isozoo.models.architecture",
    "create": "isozoo.zoo.loading",
    "info": "isozoo.zoo.catalog",
    "list_models": "isozoo.zoo.catalog",
    "load": "isozoo.zoo.loading",
    "load_backbone": "isozoo.zoo.loading",
}
_ROOMS = frozenset(
    {
        "benchmark",
        "cluster",
        "data",
        "diagnostics",
        "export",
        "initializers",
        "layers",
        "models",
        "regularizers",
        "training",
        "zoo",
    }
)


def __getattr__(name: str) -> Any:
    """Import the module that holds ``name`` and keep what it holds."""
    if name in _ROOMS:
        return importlib.import_module(f"isozoo.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'isozoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})


register_with_keras()
