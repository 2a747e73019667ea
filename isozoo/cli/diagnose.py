"""``isozoo diagnose``: measure why a network trains, or explain why a run failed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isozoo.cli import output
from isozoo.cli.arguments import positive
from isozoo.errors import DiagnosticsError

if TYPE_CHECKING:
    from isozoo.diagnostics.result import Result
    from isozoo.diagnostics.subject import Subject

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
        help="name or folder of weights, folder of a run, .keras file of any functional model, or "
        "with --fresh an architecture",
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
        help="put the results beside those that an earlier --out has, as before training; those "
        "that cannot stand side by side stay alone",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, and print each result as it comes."""
    from isozoo.diagnostics.measures import chosen, compare
    from isozoo.diagnostics.subject import is_run, open_subject

    explains = is_run(args.name) and args.measure is None and not args.fresh
    names = ["explanation"] if explains else chosen(args.measure)
    # What cannot be done is refused before anything is measured.
    earlier = _earlier(args.beside, names)
    subject = open_subject(
        args.name, args.data, args.split, args.images, fresh=args.fresh or explains
    )
    if args.beside is not None:
        subject.check_beside(args.beside)
    if args.out is not None:
        subject.note(args.out)
    found = []
    for result in _explained(args, subject) if explains else _measured(subject, names):
        if result.measure in earlier:
            result = compare(earlier[result.measure], result)
        if args.out is not None:
            for path in result.save(args.out):
                output.remark(f"wrote {path}")
        if not args.json:
            output.console().print(result.table())
        found.append(result.to_json())
    if args.json:
        output.print_json(found)
    return 0


def _measured(subject: Subject, names: list[str]) -> Iterator[Result]:
    from isozoo.diagnostics.measures import measured

    return measured(subject, names, say=lambda cost: output.remark(str(cost)))


def _explained(args: argparse.Namespace, subject: Subject) -> Iterator[Result]:
    from isozoo.diagnostics.explanation import explain, explanation_cost

    output.remark(str(explanation_cost(subject.model, subject.images)))
    yield explain(args.name, args.data, split=args.split, images=args.images)


def _earlier(folder: Path | None, names: list[str]) -> dict[str, Result]:
    """Return the results in a folder that those of some measures can stand beside."""
    from isozoo.diagnostics.measures import comparable, read_result

    if folder is None:
        return {}
    able = comparable()
    files = {name: folder / f"{name}.json" for name in names if name in able}
    found = {name: read_result(path) for name, path in files.items() if path.is_file()}
    if not found:
        raise DiagnosticsError(
            f"asked to put {', '.join(names)} beside what is in {folder}, which has none of those "
            f"that can stand side by side ({', '.join(able)}); measure them into it with --out"
        )
    for name in names:
        if name not in found:
            why = f"{folder} has no {name}.json" if name in able else "it is of one network only"
            output.remark(f"{name} will stand alone: {why}")
    return found
