"""The paper's experiments as tables of recipes, run, collected and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

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
    "Cell": ".table",
    "CellResult": ".results",
    "Claim": ".table",
    "Column": ".table",
    "Noise": ".claims",
    "Plan": ".runner",
    "Results": ".results",
    "Row": ".table",
    "RunResult": ".results",
    "Scale": ".table",
    "Table": ".table",
    "Verdict": ".claims",
    "collect": ".runner",
    "noise": ".claims",
    "plot": ".plots",
    "read_results": ".results",
    "read_table": ".reading",
    "reproduce": ".runner",
    "table_names": ".reading",
    "verdicts": ".claims",
    "write_recipes": ".runner",
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

__getattr__, __dir__ = later(__name__, _HOME)
