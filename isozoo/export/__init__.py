"""Networks in the formats of other runtimes: written, checked, and run without Keras.

Importing this package imports neither Keras nor any runtime; each is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

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
    "FORMATS": ".formats",
    "ExportedClassifier": ".exported",
    "Format": ".formats",
    "Sidecar": ".sidecar",
    "check_request": ".writing",
    "export_model": ".writing",
    "is_exported": ".sidecar",
    "load_exported": ".exported",
    "means_export": ".opening",
    "open_classifier": ".opening",
    "read_sidecar": ".sidecar",
}

__getattr__, __dir__ = later(__name__, _HOME)
