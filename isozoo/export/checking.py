"""Compares an export with the Keras network it was made of."""

from __future__ import annotations

import numpy as np
from keras import ops

from isozoo.errors import ExportError
from isozoo.export.exported import ExportedClassifier
from isozoo.export.formats import DTYPES, FORMATS
from isozoo.models.classifier import Classifier

#: The largest logit where it is smaller yet, as in a network whose head starts at 0.
_LEAST = 1e-6


def check(exported: ExportedClassifier, reference: Classifier, images: np.ndarray) -> float:
    """Refuse an export that answers otherwise than its network.

    Args:
        exported: The export, in its own runtime.
        reference: The network in float32, channels last.
        images: Preprocessed images `(batch, height, width, channels)`.

    Returns:
        The largest difference of a logit, as a share of Keras's largest logit.

    Raises:
        ExportError: It is above the dtype's tolerance, or another class comes first.
    """
    wanted = ops.convert_to_numpy(reference(images, training=False))
    found = exported(images)
    if found.shape != wanted.shape:
        raise ExportError(
            f"{_what(exported)} gives logits of the shape {found.shape} instead of {wanted.shape}; "
            "nothing was written"
        )
    scale = max(_LEAST, float(np.abs(wanted).max()))
    difference = float(np.abs(found - wanted).max()) / scale
    tolerance = DTYPES[exported.sidecar.dtype].tolerance
    rows, first = np.arange(len(images)), found.argmax(axis=1)
    margin = (wanted.max(axis=1) - wanted[rows, first]) / scale
    others = int((margin > tolerance).sum())
    # Written so that NaN, which compares with nothing, is refused.
    if not difference <= tolerance or others:
        raise ExportError(
            f"{_what(exported)} answers otherwise than Keras: on {len(images)} images its logits "
            f"differ by up to {difference:.2g} of the largest one (allowed: {tolerance:g}), and "
            f"another class comes first on {others}; nothing was written. Use another dtype, or "
            "for int8 calibrate on more pictures like those it will see"
        )
    return difference


def _what(exported: ExportedClassifier) -> str:
    sidecar = exported.sidecar
    return f"{sidecar.name} exported to {FORMATS[sidecar.format].title} as {sidecar.dtype}"
