"""``isozoo evaluate``: measure a network again and compare with what was reported."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import isozoo
from isozoo.cli import backend, output
from isozoo.cli.arguments import not_negative

if TYPE_CHECKING:
    from isozoo.training import Evaluation

USES_KERAS = True


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a network again",
        description="Measure a network and compare with the numbers its weights report. The exit "
        "code is 1 where a measured number lies outside its tolerance.",
    )
    parser.add_argument(
        "name", metavar="NAME", help="name or folder of weights, or exported folder"
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DATA",
        help="folder or tar of CLASS/*.jpg, or a data set of TensorFlow Datasets",
    )  # fmt: skip
    parser.add_argument("--split", default="val", help="folder inside --data (%(default)s)")
    parser.add_argument(
        "--max-damaged", type=not_negative, metavar="N", default=0,
        help="damaged pictures that may be left out (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Evaluate and print each number beside the one that was reported."""
    options: dict[str, Any] = {"max_damaged": args.max_damaged}
    network = backend.open_exported(args.name, args.backend)
    if network is not None:
        options |= {"network": network, "tolerance": network.accuracy_tolerance}
    result = isozoo.training.evaluate(args.name, args.data, args.split, **options)
    if args.json:
        output.print_json(result.to_dict())
    else:
        _print_table(result)
    return 0 if result.within_tolerance else 1


def _print_table(result: Evaluation) -> None:
    table = output.table("METRIC", "REPORTED", "MEASURED", right=("REPORTED", "MEASURED"))
    for metric, measured in result.metrics.items():
        reported = result.reported if metric == "top1" else None
        shown = "" if reported is None else output.number(metric, reported)
        table.add_row(metric, shown, output.number(metric, measured))
    output.console().print(table)
    if not result.within_tolerance:
        output.remark(
            f"top1 differs by more than {output.number('top1', result.tolerance)} from what the "
            "weights report"
        )
