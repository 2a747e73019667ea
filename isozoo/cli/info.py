"""``isozoo info``: everything that is known about one network, or one set of weights."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

import isozoo
from isozoo.cli import output

if TYPE_CHECKING:
    from isozoo.zoo.catalog import Record

USES_KERAS = False


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser("info", help="describe one network", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="as `isozoo list` prints it")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the record."""
    record = isozoo.info(args.name)
    if args.json:
        output.print_json(dataclasses.asdict(record))
    else:
        _print_table(record)
    return 0


def _print_table(record: Record) -> None:
    table = output.table("NAME", record.name)
    for title, value in (
        ("architecture", record.architecture),
        ("weights", record.tag or "none: isozoo.create() builds it untrained"),
        ("parameters", f"{record.parameters:,}"),
        ("GFLOPs", f"{record.gflops:.3f}"),
        *((name, output.number(name, value)) for name, value in record.metrics.items()),
        *(
            (f"reported {name}", f"{output.number(name, value)}, by its authors")
            for name, value in record.reported.items()
        ),
        *_release_rows(record),
        ("licence", record.licence),
        ("recipe", record.recipe),
        ("repository", record.repository),
        ("commit", record.commit),
        *((name, f"{f.size:>11,} bytes  sha256 {f.sha256}") for name, f in record.files.items()),
    ):
        if value is not None:
            table.add_row(title, value)
    output.console().print(table)


def _release_rows(record: Record) -> list[tuple[str, str]]:
    """Return what there is to say of weights that their authors released as a checkpoint."""
    if record.release is None:
        return []
    from isozoo.zoo.store import stored

    here = stored(record.name)
    return [
        ("trained with", f"dropout {record.release.dropout:g}"),
        ("released by", record.release.source),
        ("checkpoint", record.release.url),
        ("converted", str(here) if here else f"no: isozoo convert {record.name}"),
    ]
