"""The same recipe on many hosts, placed and restarted by Ray Train.

Importing this package imports neither Ray nor Keras: starting a run imports Ray, and its workers
import Keras.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.cluster.launch import ClusterError, ClusterRun, train
    from isozoo.cluster.workers import PLACEMENTS, Workers

_HOME = {
    "ClusterError": "launch",
    "ClusterRun": "launch",
    "PLACEMENTS": "workers",
    "Workers": "workers",
    "train": "launch",
}

__all__ = ["PLACEMENTS", "ClusterError", "ClusterRun", "Workers", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
