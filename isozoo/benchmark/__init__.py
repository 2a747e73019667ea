"""Benchmarks: networks against rivals, each in a process of its own, in turns.

Importing this package, and comparing, imports neither Keras nor NumPy: the workers do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.benchmark.bars import plot
    from isozoo.benchmark.comparison import Comparison, Ratio, Result, compare
    from isozoo.benchmark.contenders import VARIANTS, Contender
    from isozoo.benchmark.measures import MEASURES, Settings
    from isozoo.benchmark.suite import Suite, run_suite

_HOME = {
    "Comparison": ".comparison",
    "Contender": ".contenders",
    "MEASURES": ".measures",
    "Ratio": ".comparison",
    "Result": ".comparison",
    "Settings": ".measures",
    "Suite": ".suite",
    "VARIANTS": ".contenders",
    "compare": ".comparison",
    "plot": ".bars",
    "run_suite": ".suite",
}

__all__ = [
    "MEASURES",
    "VARIANTS",
    "Comparison",
    "Contender",
    "Ratio",
    "Result",
    "Settings",
    "Suite",
    "compare",
    "plot",
    "run_suite",
]

__getattr__, __dir__ = later(__name__, _HOME)
