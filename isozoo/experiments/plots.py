"""Pictures of what an experiment measured, beside what the paper reports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from isozoo.errors import DataError, MissingExtraError
from isozoo.experiments.results import CellResult, Results
from isozoo.experiments.table import Row, Table


def plot(results: Results, table: Table, path: str | os.PathLike[str]) -> Path:
    """Draw the accuracies of an experiment, with the standard deviation between seeds.

    A table with several columns has a line for each row, one with a single column has bars. Beside
    it stand the paper's figures, where it has any. A cross marks a cell none of whose runs learned,
    and one that the paper says fails.

    Args:
        results: What was measured.
        table: The table that it was measured of.
        path: File to write; its ending (`.png`, `.svg`) decides the format.

    Returns:
        The path.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        DataError: There is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib: python -m pip install 'isozoo[train]'"
        ) from error
    cells = results.cells()
    if not cells:
        raise DataError(f"nothing to draw: no run of {table.name} has been done")
    shown = [row for row in table.rows if any(key[0] == row.name for key in cells)]
    draw = _lines if len(table.columns) > 1 else _bars
    panels = 1 + any(row.published for row in shown)
    figure = Figure(figsize=(6.2 * panels, 4.6), layout="constrained")
    axes, *more = figure.subplots(1, panels, squeeze=False)[0]
    draw(axes, table, shown, cells)
    images = ", ".join(sorted({run.dataset for run in results.runs}))
    axes.set_title(f"measured here, {results.scale} scale, {images}", fontsize=10)
    for beside in more:
        draw(beside, table, shown, None)
        beside.set_title("the paper, ImageNet", fontsize=10)
    if draw is _lines:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    # Pictures of equal numbers should not differ by the version of Matplotlib noted in them.
    unnoted = {"Software": None} if Path(path).suffix.lower() == ".png" else None
    figure.savefig(path, dpi=90, metadata=unnoted)
    return Path(path)


Cells = dict[tuple[str, str], CellResult]


class Point(NamedTuple):
    """What is drawn of a cell: accuracy and spread in per cent, and whether it failed."""

    mean: float
    spread: float
    failed: bool


def _point(row: Row, column: str, cells: Cells | None) -> Point | None:
    """Return a cell's point; of the paper without cells; None if there is none."""
    if cells is None:
        found = row.published.get(column)
        return None if found is None else Point(found, 0.0, not found)
    cell = cells.get((row.name, column))
    return cell and Point(100 * cell.mean, 100 * (cell.spread or 0.0), not cell.learned)


def _lines(axes: Any, table: Table, rows: list[Row], cells: Cells | None) -> None:
    names = [column.name for column in table.columns]
    if cells is not None:
        names = [name for name in names if any(key[1] == name for key in cells)]
    for number, row in enumerate(rows):
        found = [(place, _point(row, name, cells)) for place, name in enumerate(names)]
        points = [(place, point) for place, point in found if point]
        trained = [(place, *point[:2]) for place, point in points if not point.failed]
        places, means, spreads = zip(*trained, strict=True) if trained else ((), (), ())
        axes.errorbar(
            places, means, spreads, label=row.title, color=f"C{number}", capsize=3, marker="o",
            markersize=4, linewidth=2.2 if row.headline else 1.0,
            linestyle="-" if row.headline else "--",
        )  # fmt: skip
        failed = [(place, point.mean) for place, point in points if point.failed]
        if failed:
            axes.scatter(*zip(*failed, strict=True), color=f"C{number}", marker="x")
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel=table.varies, ylabel="top-1 accuracy in %", ylim=(-2, None))
    axes.grid(alpha=0.3)


def _bars(axes: Any, table: Table, rows: list[Row], cells: Cells | None) -> None:
    (column,) = table.columns
    points = [_point(row, column.name, cells) or Point(0.0, 0.0, True) for row in rows]
    means = [point.mean for point in points]
    bars = axes.barh(
        range(len(rows)),
        means,
        xerr=[point.spread for point in points],
        capsize=3,
        color=["C7" if point.failed else "C0" for point in points],
        ecolor="0.25",
    )
    axes.bar_label(bars, [f" {p.mean:.1f}{' ✗' if p.failed else ''}" for p in points], padding=4)
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="top-1 accuracy in %", xlim=(0, 1.18 * max(*means, 1.0)))
