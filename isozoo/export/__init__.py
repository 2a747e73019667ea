"""Networks in the formats of other runtimes: written, checked, and run without Keras.

Importing this package imports neither Keras nor any runtime; each is imported where it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.export.exported import ExportedClassifier, load_exported
    from isozoo.export.formats import FORMATS, Format
    from isozoo.export.opening import means_export, open_classifier
    from isozoo.export.sidecar import Sidecar, is_exported, read_sidecar
    from isozoo.export.writing import check_request, export_model

__all__ = [
    "FORMATS",
    "ExportedClassifier",
    "Format",
    "Sidecar",
    "check_request",
    "export_model",
    "is_exported",
    "load_exported",
    "means_export",
    "open_classifier",
    "read_sidecar",
]

_HOME = {
    "FORMATS": "formats",
    "ExportedClassifier": "exported",
    "Format": "formats",
    "Sidecar": "sidecar",
    "check_request": "writing",
    "export_model": "writing",
    "is_exported": "sidecar",
    "load_exported": "exported",
    "means_export": "opening",
    "open_classifier": "opening",
    "read_sidecar": "sidecar",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds ``name`` and keep what it holds."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
