"""What the documents say of the paper's experiments; `docs_tables.py` puts it into them.

The numbers are from ``benchmarks/results/experiments/TABLE-SCALE.json``, which is what
``isozoo reproduce TABLE --scale SCALE`` wrote to ``results.json``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from tables import table

from isozoo.experiments import (
    CellResult,
    Results,
    Row,
    RunResult,
    Table,
    noise,
    read_results,
    read_table,
    table_names,
    verdicts,
)

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "experiments"
NOT_RUN = "Not run yet.\n"


def found(name: str, scale: str = "small") -> Results | None:
    """Return what was measured of a table, or None."""
    path = RESULTS / f"{name}-{scale}.json"
    return read_results(path) if path.is_file() else None


def accuracies(name: str) -> str:
    """Return mean and spread of each cell, with the paper's figure in brackets."""
    results = found(name)
    if results is None:
        return NOT_RUN
    described, cells = read_table(name), results.cells()
    columns = [c.name for c in described.columns if any(key[1] == c.name for key in cells)]
    rows = [row for row in described.rows if any(key[0] == row.name for key in cells)]
    head = "|".join(["network", *(f"{described.varies} {column}:" for column in columns)])
    return table(
        head,
        ((row.title, *(_cell(row, c, cells.get((row.name, c))) for c in columns)) for row in rows),
    )


def _cell(row: Row, column: str, cell: CellResult | None) -> str:
    """Return for instance `45.1 ± 0.6 (3) [70.45]`."""
    paper = row.published.get(column)
    beside = "" if paper is None else f" [{paper:.2f}]" if paper else " [fails]"
    return f"{'not run' if cell is None else cell}{beside}"


def claims(name: str) -> str:
    """Return what became of each claim of a table, and who makes them."""
    results = found(name)
    if results is None:
        return NOT_RUN
    described = read_table(name)
    rows = table(
        "claim|difference in points:|outcome",
        (
            (verdict.claim.says, _points(verdict.difference, verdict.margin), verdict.outcome)
            for verdict in verdicts(described, results.cells())
        ),
    )
    return f"Claimed by: {described.claimed}.\n\n{rows}"


def _points(difference: float | None, margin: float | None) -> str:
    if difference is None:
        return ""
    return f"{difference:+.1f}" + ("" if margin is None else f" ± {margin:.1f}")


def noise_of(name: str) -> str:
    """Return the deviation between seeds that the verdicts of a table rest on."""
    results = found(name)
    deviation = noise(results.cells().values()) if results else None
    if deviation is None:
        return ""
    return (
        f" Deviation between seeds: {100 * deviation.deviation:.1f} points, from "
        f"{deviation.freedom} degrees of freedom."
    )


def setting(name: str) -> str:
    """Return how a table was run, in a few sentences."""
    described, results = read_table(name), found(name)
    scale = described.scales["small"]
    text = f"{described.about.strip()} {scale.about.strip()}"
    if described.source:
        text += f" In brackets: {described.source}."
    return f"{text} {_runs(described, results)}\n" if results else f"{text}\n"


def _runs(described: Table, results: Results) -> str:
    runs = results.runs
    several = {len(cell.runs) for cell in results.cells().values() if len(cell.runs) > 1}
    seeds = f", up to {max(several)} seeds a cell" if several else ", one seed a cell"
    machines = {_machine(run) for run in runs}
    counts = {f"{run.dataset} ({run.training_images:,} to train on)" for run in runs}
    text = (
        f"{len(runs)} runs{seeds}, {sum(run.seconds for run in runs) / 3600:.1f} hours of training "
        f"on {' and '.join(sorted(machines))}; images: {', '.join(sorted(counts))}."
    )
    return text + noise_of(described.name)


def _machine(run: RunResult) -> str:
    threads = run.machine["threads"].get("OMP_NUM_THREADS")
    each = f", {threads} for each run" if threads else ""
    return f"{run.machine['cores']} cores of {run.machine['processor']}{each}"


def chosen(name: str) -> str:
    """Return what isozoo chose of a table's paper scale where the authors' files say nothing."""
    rows = [(row.title, row.chosen) for row in read_table(name).rows if row.chosen]
    return table("network|chosen here at the paper scale", rows)


REGIONS: dict[str, Callable[[], str]] = {
    f"{kind}-{name}": functools.partial(made, name)
    for name in table_names()
    for kind, made in (("experiment", accuracies), ("claims", claims), ("setting", setting))
} | {"chosen-depth": functools.partial(chosen, "depth")}
