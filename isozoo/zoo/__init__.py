"""The zoo: which networks and weights there are, and how to get them.

Importing this package imports neither Keras nor NumPy: names are looked up in their modules the
first time they are used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

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
    "Record": ".catalog",
    "card": "isozoo.models.card",
    "convert_checkpoint": ".convert",
    "convert_release": ".convert",
    "create": ".loading",
    "info": ".catalog",
    "list_models": ".catalog",
    "load": ".loading",
    "load_backbone": ".loading",
    "load_state_dict": ".official",
    "push": ".publishing",
}

__getattr__, __dir__ = later(__name__, _HOME)
