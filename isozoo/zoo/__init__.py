"""The zoo: which networks and weights there are, and how to get them.

Importing this package imports neither Keras nor NumPy: names are looked up in their modules the
first time they are used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.models.card import card
    from isozoo.zoo.catalog import Record, info, list_models
    from isozoo.zoo.convert import convert_checkpoint, convert_release
    from isozoo.zoo.loading import create, load, load_backbone
    from isozoo.zoo.official import load_state_dict
    from isozoo.zoo.publishing import push

__all__ = [
    "Record",
    "card",
    "convert_checkpoint",
    "convert_release",
    "create",
    "info",
    "list_models",
    "load",
    "load_backbone",
    "load_state_dict",
    "push",
]

_HOME = {
    "Record": "isozoo.zoo.catalog",
    "card": "isozoo.models.card",
    "convert_checkpoint": "isozoo.zoo.convert",
    "convert_release": "isozoo.zoo.convert",
    "create": "isozoo.zoo.loading",
    "info": "isozoo.zoo.catalog",
    "list_models": "isozoo.zoo.catalog",
    "load": "isozoo.zoo.loading",
    "load_backbone": "isozoo.zoo.loading",
    "load_state_dict": "isozoo.zoo.official",
    "push": "isozoo.zoo.publishing",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds ``name`` and keep what it holds."""
    if name not in _HOME:
        raise AttributeError(f"module 'isozoo.zoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
