"""The paper's experiments as tables of recipes, run, collected and drawn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.experiments.plots import plot
    from isozoo.experiments.results import CellResult, Results, RunResult, read_results
    from isozoo.experiments.runner import reproduce
    from isozoo.experiments.table import Cell, Column, Row, Scale, Table, read_table, table_names

_HOME = {
    "Cell": "table",
    "CellResult": "results",
    "Column": "table",
    "Results": "results",
    "Row": "table",
    "RunResult": "results",
    "Scale": "table",
    "Table": "table",
    "plot": "plots",
    "read_results": "results",
    "read_table": "table",
    "reproduce": "runner",
    "table_names": "table",
}

__all__ = [
    "Cell",
    "CellResult",
    "Column",
    "Results",
    "Row",
    "RunResult",
    "Scale",
    "Table",
    "plot",
    "read_results",
    "read_table",
    "reproduce",
    "table_names",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
