"""``isozoo export``: write a network in the format of another runtime."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import isozoo
from isozoo.cli import output
from isozoo.cli.arguments import positive
from isozoo.export.formats import FORMATS

if TYPE_CHECKING:
    from isozoo.export import Sidecar

USES_KERAS = True


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "export",
        help="write a network for another runtime",
        description="Write a network as a SavedModel or for ONNX Runtime, LiteRT or OpenVINO, with "
        "labels and preprocessing, and compare it with Keras before it takes its place. All but "
        "saved_model and litert need pip install 'isozoo[export]'.",
    )
    parser.add_argument("name", metavar="NAME", help="name or folder of weights")
    parser.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    dtypes = dict.fromkeys(dtype for form in FORMATS.values() for dtype in form.dtypes)
    parser.add_argument("--dtype", default="float32", choices=dtypes, help="default: %(default)s")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="for int8: folder of a few hundred pictures like those it will see",
    )
    parser.add_argument(
        "--image-size", type=positive, metavar="N", help="side of the images (the preprocessing's)"
    )
    parser.add_argument(
        "--batch-size", type=positive, metavar="N", help="fix the images in a batch (any number)"
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Export, and print what was written."""
    from rich.console import Console

    # What cannot be done is said before weights are fetched.
    isozoo.export.check_request(args.out, args.format, args.dtype, args.calibration)
    model = isozoo.load(args.name)
    with Console(stderr=True).status(f"Exporting to {FORMATS[args.format].title}"):
        sidecar = isozoo.export.export_model(
            model,
            args.out,
            args.format,
            args.dtype,
            args.calibration,
            image_size=args.image_size,
            batch_size=args.batch_size,
        )
    if args.json:
        output.print_json(_report(args.out, sidecar))
    else:
        _print_table(args.out, sidecar)
    return 0


def _report(folder: Path, sidecar: Sidecar) -> dict[str, Any]:
    return {
        "name": sidecar.name,
        "folder": str(folder),
        "format": sidecar.format,
        "dtype": sidecar.dtype,
        "input": {"name": sidecar.input_name, "shape": list(sidecar.input_shape)},
        "output": {"name": sidecar.output_name, "shape": [None, len(sidecar.labels)]},
        "layout": sidecar.layout,
        "calibration": sidecar.calibration,
        "difference": sidecar.difference,
        "bytes": _size(sidecar),
    }


def _size(sidecar: Sidecar) -> int:
    return sum(record.size for record in sidecar.files.values())


def _print_table(folder: Path, sidecar: Sidecar) -> None:
    shape = " x ".join(str(side or "any") for side in sidecar.input_shape)
    table = output.table("NAME", sidecar.name)
    for title, value in (
        ("format", f"{FORMATS[sidecar.format].title}, {sidecar.dtype}"),
        ("input", f"{sidecar.input_name}: {shape}, {sidecar.layout.replace('_', ' ')}"),
        ("output", f"{sidecar.output_name}: logits of {len(sidecar.labels)} classes"),
        ("calibrated on", f"{sidecar.calibration} pictures" if sidecar.calibration else None),
        ("differs from Keras", f"by {sidecar.difference:.2g} of the largest logit"),
        ("size", f"{_size(sidecar):,} bytes"),
        ("written", str(folder)),
    ):
        if value is not None:
            table.add_row(title, value)
    output.console().print(table)
