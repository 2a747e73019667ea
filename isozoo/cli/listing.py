"""``isozoo list``: the networks there are, and the weights of them."""

from __future__ import annotations

import argparse
from typing import Any

import isozoo
from isozoo.cli import output

USES_KERAS = False


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser("list", help="list the networks", description=__doc__)
    parser.add_argument("pattern", nargs="?", help="show matching names only, as in 'r-isonet-*'")
    parser.add_argument("--pretrained", action="store_true", help="list weights, not networks")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print one row for each name; the exit code is 1 if none matches."""
    names = isozoo.list_models(args.pattern, pretrained=args.pretrained)
    rows = [_row(name) for name in names]
    if args.json:
        output.print_json(rows)
    elif rows:
        _print_table(rows)
    if not rows:
        output.remark(f"no name matches {args.pattern!r}" if args.pattern else "nothing to list")
    return 0 if rows else 1


def _row(name: str) -> dict[str, Any]:
    record = isozoo.info(name)
    return {
        "name": name,
        "weights": record.tag,
        "parameters": record.parameters,
        "gflops": record.gflops,
        "metrics": dict(record.metrics),
        "reported": dict(record.reported),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    numbers = ("PARAMETERS", "GFLOPS", "MEASURED TOP-1", "REPORTED TOP-1")
    table = output.table("NAME", *numbers[:2], "WEIGHTS", *numbers[2:], right=numbers)
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['parameters']:,}",
            f"{row['gflops']:.3f}",
            row["weights"] or "",
            _top1(row["metrics"]),
            _top1(row["reported"]),
        )
    output.console().print(table)


def _top1(numbers: dict[str, float]) -> str:
    return output.number("top1", numbers["top1"]) if "top1" in numbers else ""
