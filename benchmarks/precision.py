"""Measure what precisions cost: the top-1 accuracy of published weights, prepared in several ways.

    python benchmarks/precision.py --data imagenette2-160.tar \
        --out benchmarks/results/precision.json

Every variant of `isozoo.benchmark.VARIANTS` that is named classifies all validation pictures, which
are decoded once. int8 is calibrated on training pictures. The documentation's table is made of the
result (`tools/docs_tables.py`).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.progress import track

import isozoo
from isozoo.benchmark import Contender
from isozoo.benchmark.machine import machine, versions
from isozoo.data import ImageFolder
from isozoo.data.samples import prepared_images
from isozoo.errors import IsozooError
from isozoo.export import export_model, load_exported
from isozoo.files import atomic_write

WEIGHTS = ("r-isonet-18-w32.imagenette", "resnet-18-w32.imagenette")
#: How weights are prepared, and how many points of top-1 it may cost; None for no goal.
GOALS: dict[str, float | None] = {
    "float32": None,
    "fused": None,
    "mixed_bfloat16": 0.5,
    "openvino": None,
    "openvino-bfloat16": 0.5,
    "openvino-int8": 1.0,
    "litert-int8": 1.0,
}
BATCH = 64
#: Training pictures that int8 is calibrated on.
CALIBRATION = 300

Network = Callable[[np.ndarray], Any]


def prepared(name: str, variant: str, training: ImageFolder, folder: Path) -> Network:
    """Return a function from preprocessed images to logits."""
    asked = Contender.parse(f"{name}@{variant}").preparation
    if asked.runtime == "keras":
        model = isozoo.load(name, dtype=asked.dtype)
        return (model.fuse() if asked.fused else model).predict_on_batch
    pictures = None
    if asked.dtype == "int8":
        count = min(CALIBRATION, len(training))
        chosen = np.linspace(0, len(training) - 1, count).round().astype(int)
        pictures = [training.image(index) for index in chosen.tolist()]
    export_model(isozoo.load(name), folder / variant, asked.runtime, asked.dtype, pictures)
    return load_exported(folder / variant)


def classes(network: Network, pictures: np.ndarray, normalize: Callable) -> np.ndarray:
    """Return the most probable class of each picture."""
    console = Console(stderr=True)
    starts = range(0, len(pictures), BATCH)
    watched = track(starts, "Classifying", console=console, disable=not console.is_terminal)
    batches = [np.asarray(network(normalize(pictures[i : i + BATCH]))) for i in watched]
    return np.concatenate(batches).argmax(axis=1)


def measure(name: str, data: str) -> list[dict[str, Any]]:
    """Return one record for each variant of some weights; the first is what others lose against."""
    training, validation = (ImageFolder.open(data, split) for split in ("train", "val"))
    preprocessing = isozoo.load(name).preprocessing
    pictures = prepared_images(validation, preprocessing)
    rows: list[dict[str, Any]] = []
    reference = np.zeros(0)
    with tempfile.TemporaryDirectory() as folder:
        for variant, at_most in GOALS.items():
            row: dict[str, Any] = {"weights": name, "variant": variant, "at_most": at_most}
            try:
                network = prepared(name, variant, training, Path(folder))
                found = classes(network, pictures, preprocessing.normalize)
            except IsozooError as error:
                rows.append({**row, "error": str(error), "met": None if at_most is None else False})
                continue
            if not rows:
                reference = found
            top1 = round(float((found == validation.labels).mean()), 6)
            points = round(100 * (top1 - rows[0]["top1"]), 2) if rows else 0.0
            row |= {"top1": top1, "points": points, "changed": int((found != reference).sum())}
            rows.append({**row, "met": None if at_most is None else -points <= at_most})
    return rows


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder or tar of {train,val}/CLASS/*.jpg")
    parser.add_argument("--out", type=Path, required=True, help="write the result as JSON here")
    args = parser.parse_args()
    rows = [row for name in WEIGHTS for row in measure(name, args.data)]
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "data": Path(args.data).name,
        "images": len(ImageFolder.open(args.data, "val")),
        "calibration": min(CALIBRATION, len(ImageFolder.open(args.data, "train"))),
        "rows": rows,
    }
    atomic_write(args.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
