"""``isozoo diagnose``: measure why a network trains, or explain why a run failed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from isozoo.cli import output
from isozoo.cli.arguments import positive

USES_KERAS = True


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    from isozoo.diagnostics.measures import MEASURES

    listed = "; ".join(f"{name}: {measure.about}" for name, measure in MEASURES.items())
    parser = commands.add_parser(
        "diagnose",
        help="measure why a network trains, or why a run failed",
        description="Measure a network on a data set. What a measure costs is said before it runs. "
        "Of a training run's folder, without --measure, a page explains why it failed.",
        epilog=f"Measures: {listed}.",
    )
    parser.add_argument(
        "name", metavar="NAME",
        help="name or folder of weights, folder of a run, or with --fresh an architecture",
    )  # fmt: skip
    parser.add_argument(
        "--measure", action="append", metavar="M",
        help="what to measure, can be given again; `all` for everything (default: "
        f"{', '.join(name for name, measure in MEASURES.items() if measure.usual)})",
    )  # fmt: skip
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DATA",
        help="folder or tar of CLASS/*.jpg, or a data set of TensorFlow Datasets",
    )  # fmt: skip
    parser.add_argument("--split", default="val", help="folder inside --data (%(default)s)")
    parser.add_argument(
        "--images", type=positive, metavar="N", default=32,
        help="images to measure on, drawn from all classes (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="measure the network untrained")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write each result's numbers and picture there"
    )
    parser.add_argument(
        "--beside", type=Path, metavar="DIR",
        help="put the results beside those that an earlier --out has, as before training",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, and print each result as it comes."""
    from isozoo.diagnostics.measures import compare, read_result

    found = []
    for result in _results(args):
        if args.beside is not None:
            result = compare(read_result(args.beside / f"{result.measure}.json"), result)
        if args.out is not None:
            for path in result.save(args.out):
                output.remark(f"wrote {path}")
        if not args.json:
            output.console().print(result.table())
        found.append(result.to_json())
    if args.json:
        output.print_json(found)
    return 0


def _results(args: argparse.Namespace) -> Any:
    from isozoo.diagnostics.explanation import explain, explanation_cost
    from isozoo.diagnostics.measures import MEASURES, chosen
    from isozoo.diagnostics.subject import is_run, open_subject

    explains = is_run(args.name) and args.measure is None and not args.fresh
    names = chosen(args.measure)
    subject = open_subject(
        args.name, args.data, args.split, args.images, fresh=args.fresh or explains
    )
    if explains:
        output.remark(str(explanation_cost(subject)))
        yield explain(args.name, args.data, split=args.split, images=args.images)
        return
    for name in names:
        output.remark(str(MEASURES[name].estimate(subject)))
        yield MEASURES[name].run(subject)
