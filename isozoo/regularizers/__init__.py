"""The penalty that keeps convolutions near isometries."""

from isozoo.orthogonality import METHODS, PROBE
from isozoo.regularizers.models import (
    convolutions,
    is_constrained,
    model_penalty,
    set_penalty,
)
from isozoo.regularizers.orthogonal import OrthogonalConv
from isozoo.regularizers.penalty import CONDITIONS, orthogonality_penalty

__all__ = [
    "CONDITIONS",
    "METHODS",
    "PROBE",
    "OrthogonalConv",
    "convolutions",
    "is_constrained",
    "model_penalty",
    "orthogonality_penalty",
    "set_penalty",
]
