"""``isozoo convert``: make a weights folder of a PyTorch checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import isozoo
from isozoo.cli import output

if TYPE_CHECKING:
    from isozoo.zoo.convert import Conversion

USES_KERAS = True


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "convert",
        help="make weights of a PyTorch checkpoint",
        description="Make a weights folder of a PyTorch checkpoint that the authors of ISONet or "
        "Fixup released. Nothing in the checkpoint is run. Needs pip install 'isozoo[convert]'.",
    )
    parser.add_argument(
        "source",
        metavar="CHECKPOINT",
        help="file; or the name of released weights, such as r-isonet-50.imagenet, to fetch",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="the file's network, or released weights it holds"
    )
    parser.add_argument("--tag", help="what the weights were trained on")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write (released weights: where isozoo.load finds them; others: NAME.TAG)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="one label on each line (1000 classes: ImageNet's; others: numbers)",
    )
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert and print what was read and written."""
    from isozoo.data.labels import read_labels

    labels = read_labels(args.labels) if args.labels else None
    done = isozoo.zoo.convert_checkpoint(
        args.source, args.model, tag=args.tag, out=args.out, labels=labels
    )
    if args.json:
        output.print_json(_report(done))
    else:
        _print_table(done)
    output.remark(
        "nobody states what the checkpoint must hash to: its sha256 is what was found, not what "
        "was checked"
    )
    return 0


def _report(done: Conversion) -> dict[str, Any]:
    return {
        "name": done.manifest.full_name,
        "folder": str(done.folder),
        "parameters": done.manifest.parameters,
        "classes": len(done.manifest.labels),
        "checkpoint": str(done.checkpoint),
        "size": done.found.size,
        "sha256": done.found.sha256,
        "source": done.release.source if done.release else None,
    }


def _print_table(done: Conversion) -> None:
    labels = done.manifest.labels
    table = output.table("NAME", done.manifest.full_name)
    for title, value in (
        ("read", str(done.checkpoint)),
        ("released by", done.release.source if done.release else None),
        ("size", f"{done.found.size:,} bytes"),
        ("sha256", done.found.sha256),
        ("parameters", f"{done.manifest.parameters:,}"),
        ("classes", f"{len(labels)}: {', '.join(labels[:4])}{', ...' if labels[4:] else ''}"),
        ("licence", done.manifest.licence or "not stated"),
        ("written", str(done.folder)),
    ):
        if value is not None:
            table.add_row(title, value)
    output.console().print(table)
