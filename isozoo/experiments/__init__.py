"""The paper's experiments as tables of recipes, run, collected and drawn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.experiments.claims import Noise, Verdict, noise, verdicts
    from isozoo.experiments.plots import plot
    from isozoo.experiments.reading import read_table, table_names
    from isozoo.experiments.results import CellResult, Results, RunResult, read_results
    from isozoo.experiments.runner import Plan, collect, reproduce, write_recipes
    from isozoo.experiments.table import (
        Cell,
        Claim,
        Column,
        Row,
        Scale,
        Table,
    )

_HOME = {
    "Cell": "table",
    "CellResult": "results",
    "Claim": "table",
    "Column": "table",
    "Noise": "claims",
    "Plan": "runner",
    "Results": "results",
    "Row": "table",
    "RunResult": "results",
    "Scale": "table",
    "Table": "table",
    "Verdict": "claims",
    "collect": "runner",
    "noise": "claims",
    "plot": "plots",
    "read_results": "results",
    "read_table": "reading",
    "reproduce": "runner",
    "table_names": "reading",
    "verdicts": "claims",
    "write_recipes": "runner",
}

__all__ = [
    "Cell",
    "CellResult",
    "Claim",
    "Column",
    "Noise",
    "Plan",
    "Results",
    "Row",
    "RunResult",
    "Scale",
    "Table",
    "Verdict",
    "collect",
    "noise",
    "plot",
    "read_results",
    "read_table",
    "reproduce",
    "table_names",
    "verdicts",
    "write_recipes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
