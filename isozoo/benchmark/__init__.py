"""Benchmarks: networks against rivals, each in a process of its own, in turns.

Importing this package, and comparing, imports neither Keras nor NumPy: the workers do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.benchmark.bars import plot
    from isozoo.benchmark.comparison import Comparison, Ratio, Result, compare
    from isozoo.benchmark.contenders import VARIANTS, Contender
    from isozoo.benchmark.measures import MEASURES, Settings
    from isozoo.benchmark.suite import Suite, run_suite

_HOME = {
    "Comparison": "comparison",
    "Contender": "contenders",
    "MEASURES": "measures",
    "Ratio": "comparison",
    "Result": "comparison",
    "Settings": "measures",
    "Suite": "suite",
    "VARIANTS": "contenders",
    "compare": "comparison",
    "plot": "bars",
    "run_suite": "suite",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
