"""What `benchmarks/propagation.py` measured, and how its numbers are written."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
from performance_tables import ROOT

from isozoo.diagnostics.propagation import Propagation
from isozoo.diagnostics.propagation.fits import WELL_FITTED, Fit

RESULTS = ROOT / "benchmarks" / "results" / "diagnostics" / "propagation.json"


@functools.cache
def record() -> dict[str, Any]:
    """Return what was measured."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"rows": {}}


@functools.cache
def result(key: str) -> Propagation | None:
    """Return the result of a row, or None."""
    row = record()["rows"].get(key)
    return Propagation.from_json(row["result"]) if row else None


def number(value: float) -> str:
    """Return a number in three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.1e}"


#: Change of log chi over the whole depth, by its straight line, below which it is constant.
CONSTANT = 0.1


def law(found: Propagation) -> str:
    """Return the law that fits better, in a few words, or that none does."""
    line, power = found.fit("exponential"), found.fit("power law")
    if line is None or power is None:
        return "too few depths"
    change = abs(line.coefficient) * float(np.ptp(found.depths))
    if change < CONSTANT and np.ptp(found.curve("log_chi").mean) < 2 * CONSTANT:
        return "constant"
    best = max(line, power, key=lambda fit: fit.r2)
    return said(best) if best.r2 >= WELL_FITTED else f"no law (R² {best.r2:.3f})"


def said(fit: Fit) -> str:
    """Return a law and how well it holds."""
    if fit.law == "exponential":
        return f"exp({fit.coefficient:.3f} l), R² {fit.r2:.3f}"
    return f"l^{fit.coefficient:.2f}, R² {fit.r2:.3f}"


def value_of(value: float | None) -> str:
    """Return a number that may not have been measured."""
    return "none" if value is None else number(value)
