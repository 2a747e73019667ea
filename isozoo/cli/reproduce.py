"""``isozoo reproduce``: the paper's tables, row by row."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isozoo.cli import output, train
from isozoo.cli.arguments import positive
from isozoo.training.distribute import STRATEGIES

if TYPE_CHECKING:
    from isozoo.experiments.results import CellResult, Results, RunResult
    from isozoo.experiments.table import Row, Table

USES_KERAS = True

PLOT = "results.png"
#: What is no table: two networks, measured while they train.
STUDY = "vgg"
#: Options that only tables heed, and what they are where nobody gave them.
_OF_TABLES = {
    "row": None, "column": None, "seeds": None, "jobs": 1, "strategy": "one", "recipes": False,
    "collect": False,
}  # fmt: skip


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "reproduce",
        help="run an experiment of the paper",
        description="Run one of the paper's experiments, or some of its rows, and compare. Without "
        "a table, list them. What was run is not run again; a run that was stopped goes on.",
    )
    parser.add_argument(
        "table",
        nargs="?",
        metavar="TABLE",
        help="a table's name, or a file like isozoo's own; or "
        f"{STUDY}, the study of what batch normalisation does to the loss",
    )
    parser.add_argument(
        "--scale", default="small", metavar="SCALE",
        help="small, for a CPU or one GPU, or paper, for ImageNet; of the study small or notebook "
        "(%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DATA", help="the images, as `isozoo train` takes them; the scale's own "
        "data set, from TFDS, if left out",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("experiments"),
        help="folder for the runs and results (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--row", action="append", metavar="ROW", help="only this row; repeatable")
    parser.add_argument(
        "--column", action="append", metavar="C", help="only this column; repeatable"
    )
    parser.add_argument("--seeds", type=positive, metavar="N", help="runs of each cell")
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="runs at a time (%(default)s)"
    )
    parser.add_argument(
        "--strategy", choices=[name for name in STRATEGIES if name != "multiworker"], default="one",
        help="devices of each run, see `isozoo train` (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--recipes", action="store_true", help="run nothing, write the recipes of the runs"
    )
    parser.add_argument(
        "--collect", action="store_true", help="run nothing, show what has been run so far"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def needs_keras(args: argparse.Namespace) -> bool:
    """Return whether something is to be trained."""
    return args.table is not None


def run(args: argparse.Namespace) -> int:
    """Run what is left of a table, print it and draw it; 75 if it was asked to stop."""
    from isozoo.experiments import table_names

    if args.table is None:
        return _list(table_names(), args.json)
    if args.table == STUDY:
        return _study(args)
    from isozoo.experiments import Plan, collect, plot, reproduce, write_recipes
    from isozoo.training import TrainingInterrupted

    plan = Plan(
        table=args.table,
        scale=args.scale,
        data=args.data,
        out=args.out,
        rows=args.row,
        columns=args.column,
        seeds=args.seeds,
        strategy=args.strategy,
    )
    if args.recipes:
        for path in write_recipes(plan):
            print(path)
        return 0
    picture = plan.folder / PLOT if importlib.util.find_spec("matplotlib") else None
    if picture is None:
        output.remark("no picture without matplotlib: python -m pip install 'isozoo[train]'")

    def tell(done: int, wanted: int, result: RunResult, so_far: Results) -> None:
        _tell(done, wanted, result)
        if picture:
            plot(so_far, plan.read(), picture)

    try:
        results = collect(plan) if args.collect else reproduce(plan, args.jobs, tell)
    except TrainingInterrupted as stopped:
        output.remark(str(stopped))
        return train.STOPPED
    _show(plan.read(), results, args.json)
    if results.runs and picture:
        output.remark(f"drew {plot(results, plan.read(), picture)}")
    return 0


def _study(args: argparse.Namespace) -> int:
    """Train and measure VGG with and without batch normalisation, and print what came of it."""
    from isozoo.errors import ExperimentError
    from isozoo.experiments.vgg import vgg_study

    for option, usual in _OF_TABLES.items():
        if getattr(args, option) != usual:
            raise ExperimentError(f"--{option} means nothing to the study {STUDY}; leave it out")
    folder = args.out / f"{STUDY}-{args.scale}"
    study = vgg_study(
        args.data,
        folder,
        scale=args.scale,
        told=lambda m: output.remark(
            f"{m.network}: {output.number('top1', m.accuracy[-1])} after {m.seconds / 60:.1f} "
            "minutes of a processor"
        ),
    )
    if args.json:
        output.print_json(study.to_json())
        return 0
    output.console().print(study.table())
    output.remark(f"wrote {folder}")
    return 0


def _show(table: Table, results: Results, as_json: bool) -> None:
    """Print what was measured, and what became of the claims."""
    from isozoo.experiments import verdicts
    from isozoo.experiments.claims import UNMEASURED

    found = verdicts(table, results.cells())
    if as_json:
        judged = [dataclasses.asdict(verdict) for verdict in found]
        output.print_json(results.to_json() | {"verdicts": judged})
        return
    _print_table(table, results)
    shown = output.table("CLAIM", "POINTS", "OUTCOME", right=("POINTS",))
    for verdict in found:
        if verdict.outcome != UNMEASURED:
            points = "" if verdict.difference is None else f"{verdict.difference:+.1f}"
            margin = "" if verdict.margin is None else f" ± {verdict.margin:.1f}"
            shown.add_row(verdict.claim.says, points + margin, verdict.outcome)
    if shown.row_count:
        output.console().print()
        output.console().print(shown)


def _list(names: list[str], as_json: bool) -> int:
    from isozoo.experiments import read_table

    tables = [read_table(name) for name in names]
    if as_json:
        output.print_json(
            [
                {"name": table.name, "title": table.title, "scales": list(table.scales),
                 "rows": [row.name for row in table.rows],
                 "columns": [column.name for column in table.columns]}
                for table in tables
            ]
        )  # fmt: skip
        return 0
    from isozoo.experiments.vgg_scales import scales

    networks = scales()["notebook"].networks
    listed = output.table("TABLE", "ROWS", "COLUMNS", "WHAT IT ASKS", right=("ROWS", "COLUMNS"))
    for table in tables:
        listed.add_row(table.name, str(len(table.rows)), str(len(table.columns)), table.title)
    title = "Batch normalisation and smoothness, a study"
    listed.add_row(STUDY, str(len(networks)), "1", title)
    output.console().print(listed)
    return 0


def _tell(done: int, wanted: int, result: RunResult) -> None:
    found = result.outcome if result.top1 is None else output.number("top1", result.top1)
    output.remark(
        f"{done} of {wanted}: {result.model}, {result.row} {result.column}, seed {result.seed}: "
        f"{found} after {result.seconds / 60:.1f} minutes"
    )


def _print_table(table: Table, results: Results) -> None:
    cells = results.cells()
    columns = [c.name for c in table.columns if any(key[1] == c.name for key in cells)]
    heads = [f"{table.varies.upper()} {name}" for name in columns]
    shown = output.table("ROW", *heads, right=tuple(heads))
    for row in table.rows:
        if any(key[0] == row.name for key in cells):
            shown.add_row(
                row.title, *(_cell(row, name, cells.get((row.name, name))) for name in columns)
            )
    output.console().print(shown)


def _cell(row: Row, column: str, cell: CellResult | None) -> str:
    """Return what was measured of a cell, and the paper's figure in brackets."""
    paper = row.published.get(column)
    beside = "" if paper is None else f" [{paper:.1f}]" if paper else " [fails]"
    return "" if cell is None else f"{cell}{beside}"
