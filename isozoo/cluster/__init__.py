"""The same recipe on many hosts, placed and restarted by Ray Train.

Importing this package imports neither Ray nor Keras: starting a run imports Ray, and its workers
import Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.cluster.launch import ClusterError, ClusterRun, train
    from isozoo.cluster.workers import PLACEMENTS, Workers

_HOME = {
    "ClusterError": ".launch",
    "ClusterRun": ".launch",
    "PLACEMENTS": ".workers",
    "Workers": ".workers",
    "train": ".launch",
}

__all__ = ["PLACEMENTS", "ClusterError", "ClusterRun", "Workers", "train"]

__getattr__, __dir__ = later(__name__, _HOME)
