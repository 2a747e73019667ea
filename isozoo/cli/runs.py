"""``isozoo runs``: the training runs in a folder, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isozoo.cli import output

if TYPE_CHECKING:
    from isozoo.training.runs import RunRecord

USES_KERAS = False

#: Column of the table, the summary's key, and how its value is written.
COLUMNS = (
    ("TOP-1", "top1", lambda value: output.number("top1", value)),
    ("BEST", "best_top1", lambda value: output.number("top1", value)),
    ("LOSS", "loss", "{:.4g}".format),
    ("PENALTY", "penalty", "{:.3g}".format),
    ("RATE", "learning_rate", "{:.3g}".format),
    ("IMAGES/S", "images_per_second", "{:.0f}".format),
    ("MINUTES", "seconds", lambda value: f"{value / 60:.1f}"),
)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "runs",
        help="list and compare training runs",
        description="List the runs in a folder, with the numbers of their latest epoch. The exit "
        "code is 1 where a run's log or recipe cannot be read.",
    )
    parser.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", default=Path("runs"),
        help="folder that `train` got as --out, or of one run (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw their learning curves to a .png or .svg"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Print one row for each run, and draw them if asked to."""
    from isozoo.training.runs import find_runs

    found = find_runs(args.directory)
    if args.json:
        output.print_json([record.summary() for record in found])
    else:
        _print_table(found)
    for record in found:
        if record.fault:
            output.remark(record.fault)
    if args.plot:
        _plot(found, args.plot)
    return 1 if any(record.fault for record in found) else 0


def _print_table(found: list[RunRecord]) -> None:
    numbers = ("EPOCH", *(column for column, _, _ in COLUMNS))
    table = output.table("RUN", "STATE", *numbers, right=numbers)
    for record in found:
        row = record.summary()
        of_all = "" if row["epochs"] is None else f"/{row['epochs']}"
        values = ["" if row[key] is None else text(row[key]) for _, key, text in COLUMNS]
        table.add_row(row["name"], row["state"], f"{row['epoch']}{of_all}", *values)
    output.console().print(table)


def _plot(found: list[RunRecord], path: Path) -> None:
    from isozoo.errors import DataError
    from isozoo.models.curves import panels_of, plot_runs

    logs = {record.name: record.log for record in found if panels_of([record.log])}
    if not logs:
        raise DataError("nothing to draw: none of the runs has finished an epoch")
    plot_runs(logs, path)
    output.remark(f"drew {len(logs)} of {len(found)} runs to {path}")
