"""isozoo: isometric networks for Keras 3, with weights that say how they were made.

Importing this package is cheap on purpose: it brings in neither Keras nor NumPy. Every public name
below is looked up in its own module the first time it is used (PEP 562).

Example:
    >>> import isozoo
    >>> "r-isonet-18-w32" in isozoo.list_models("r-isonet-*")
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later
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
    "Architecture": ".models.architecture",
    "Backbone": ".models.backbone",
    "Classifier": ".models.classifier",
    "IsozooError": ".errors",
    "Prediction": ".models.classifier",
    "Preprocessing": ".data.preprocessing",
    "architecture": ".models.architecture",
    "create": ".zoo.loading",
    "info": ".zoo.catalog",
    "list_models": ".zoo.catalog",
    "load": ".zoo.loading",
    "load_backbone": ".zoo.loading",
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

__getattr__, __dir__ = later(__name__, _HOME, _ROOMS)

register_with_keras()
