"""``isozoo predict``: what is in these pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import isozoo
from isozoo.cli import backend, output
from isozoo.cli.arguments import positive
from isozoo.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image
    from rich.table import Table

    from isozoo.export import ExportedClassifier
    from isozoo.models.classifier import Classifier
    from isozoo.models.predictions import Prediction

USES_KERAS = True
DEFAULT_MODEL = "r-isonet-18-w32.imagenette"
BAR_WIDTH = 30


class Source(NamedTuple):
    """A picture to classify: what to call it, and what to open."""

    name: str
    file: Path | bytes


class Outcome(NamedTuple):
    """What became of one picture: predictions, or the reason why there are none."""

    name: str
    predictions: list[Prediction]
    error: str | None = None


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "predict",
        help="classify pictures",
        description="Classify pictures. One that cannot be used is reported at the end, the "
        "others are classified all the same, and the exit code is then 1.",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="picture, folder of pictures, or - for stdin"
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="name or folder of weights, or exported folder (%(default)s)",
    )
    parser.add_argument(
        "--top", type=positive, default=5, help="how many labels to show (%(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=positive, default=32, help="pictures at once (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the predictions as JSON")
    return parser


def needs_keras(args: argparse.Namespace) -> bool:
    """Say whether the network is not an exported one, which runs by itself."""
    return not isozoo.export.means_export(args.model)


def run(args: argparse.Namespace) -> int:
    """Classify the pictures and print what was found."""
    sources = _sources(args.images)
    model = backend.open_exported(args.model, args.backend) or isozoo.load(args.model)
    outcomes = list(_watched(_outcomes(model, sources, args.top, args.batch_size), len(sources)))
    if args.json:
        output.print_json(_report(args.model, outcomes))
    else:
        _print_text(outcomes)
    failures = [outcome for outcome in outcomes if outcome.error]
    for outcome in failures:
        output.remark(str(outcome.error))
    if failures:
        output.remark(f"{len(failures)} of {len(outcomes)} pictures could not be classified")
    return 1 if failures else 0


def _sources(arguments: Sequence[str]) -> list[Source]:
    from isozoo.data.images import image_paths

    sources: list[Source] = []
    for argument in arguments:
        if argument == "-":
            sources.append(Source("stdin", sys.stdin.buffer.read()))
        elif Path(argument).is_dir():
            sources += [Source(str(path), path) for path in image_paths(argument)]
        else:
            sources.append(Source(argument, Path(argument)))
    return sources


def _outcomes(
    model: Classifier | ExportedClassifier, sources: Sequence[Source], top: int, batch_size: int
) -> Iterator[Outcome]:
    """Classify batch by batch; a picture that cannot be used does not hold up the others."""
    for start in range(0, len(sources), batch_size):
        batch = sources[start : start + batch_size]
        opened = [_open(source) for source in batch]
        images = [image for image in opened if not isinstance(image, str)]
        found = iter(_classified(model, images, top) if images else [])
        for source, image in zip(batch, opened, strict=True):
            result = image if isinstance(image, str) else next(found)
            if isinstance(result, ImageError):
                result = f"cannot classify {source.name}: {_one_line(result)}"
            if isinstance(result, str):
                yield Outcome(source.name, [], result)
            else:
                yield Outcome(source.name, result)


def _open(source: Source) -> Image.Image | str:
    from isozoo.data.images import open_image

    try:
        return open_image(source.file, source.name)
    except ImageError as error:
        return _one_line(error)


def _classified(
    model: Classifier | ExportedClassifier, images: Sequence[Image.Image], top: int
) -> list[list[Prediction] | ImageError]:
    """Classify pictures at once or, if one of them cannot be prepared, each by itself."""
    try:
        return [*model.classify(images, top=top, batch_size=len(images))]
    except ImageError as error:
        if len(images) == 1:
            return [error]
        return [result for image in images for result in _classified(model, [image], top)]


def _one_line(error: ImageError) -> str:
    return " ".join(str(error).split())


def _watched(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """Pass the outcomes through, with a progress bar where a person waits for many of them."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    quiet = total < 2 or not console.is_terminal
    yield from track(
        outcomes, "Classifying", total=total, console=console, transient=True, disable=quiet
    )


def _report(model: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    images = []
    for outcome in outcomes:
        entry: dict[str, Any] = {"image": outcome.name}
        if outcome.error:
            entry["error"] = outcome.error
        else:
            entry["predictions"] = [
                {"label": p.label, "probability": p.probability, "index": p.index}
                for p in outcome.predictions
            ]
        images.append(entry)
    return {"model": model, "images": images}


def _print_text(outcomes: Sequence[Outcome]) -> None:
    console = output.console()
    for outcome in outcomes:
        if outcome.error:
            continue
        console.print(outcome.name, style="bold")
        if console.is_terminal:
            console.print(_bars(outcome.predictions))
        else:
            for label, probability, _ in outcome.predictions:
                print(f"{_percent(probability)}  {label}")


def _bars(predictions: Sequence[Prediction]) -> Table:
    from rich.bar import Bar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for label, probability, _ in predictions:
        bar = Bar(1, 0, probability, width=BAR_WIDTH, color="green")
        table.add_row(_percent(probability), bar, label)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:7.2f} %"
