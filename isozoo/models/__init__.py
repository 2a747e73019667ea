"""Architectures as data, and the Keras models built from them.

Importing this package imports neither Keras nor NumPy; import `isozoo.models.backbone` and
`isozoo.models.classifier` for the models, or `isozoo.Backbone` and `isozoo.Classifier`.
"""

from isozoo.models.architecture import (
    FAMILIES,
    Architecture,
    architecture,
    architecture_names,
    is_architecture_name,
    split_name,
)

__all__ = [
    "FAMILIES",
    "Architecture",
    "architecture",
    "architecture_names",
    "is_architecture_name",
    "split_name",
]
