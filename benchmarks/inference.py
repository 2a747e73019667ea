"""Measure how many images per second networks classify on this machine.

    python benchmarks/inference.py --out benchmarks/results/inference.json

Networks with weights run at the image size of their preprocessing, the others untrained at that of
their architecture: the values of the weights do not change the speed. What is timed is
`predict_on_batch` on one batch of random numbers in float32, compiled, without preprocessing. The
networks take turns, so that what else the machine does meets them alike. The tables of the
documentation read the file (`tools/docs_tables.py`); run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from machine import machine, report
from rich.console import Console
from rich.progress import track

import isozoo

#: Measured without weights, beside all networks whose weights are in the repository.
UNTRAINED = ("r-isonet-18", "r-isonet-50", "resnet-18", "resnet-50")
WARM_UP = 2


def published() -> list[str]:
    """Return the names of the weights whose folders are in the repository."""
    names = isozoo.list_models(pretrained=True)
    return [name for name in names if isozoo.info(name).metrics]


def network(name: str) -> isozoo.Classifier:
    """Return the named network, with its weights if it has any, for images of one size."""
    if isozoo.info(name).metrics:
        side = isozoo.load(name).preprocessing.size
        return isozoo.load(name, input_shape=(side, side, 3), data_format="channels_last")
    side = isozoo.architecture(name).image_size
    return isozoo.create(name, input_shape=(side, side, 3), data_format="channels_last")


def measure(names: list[str], batch_size: int, repeats: int) -> list[dict]:
    """Time the networks in turns; return one record for each, medians over the repeats."""
    quiet = Console(stderr=True)
    rng = np.random.default_rng(0)
    models = {name: network(name) for name in names}
    batches = {
        name: rng.normal(size=(batch_size, *model.input_shape[1:])).astype("float32")
        for name, model in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in names}
    rounds = track(range(-WARM_UP, repeats), "rounds", console=quiet, disable=not quiet.is_terminal)
    for number in rounds:
        for name, model in models.items():
            start = time.perf_counter()
            model.predict_on_batch(batches[name])
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return [
        {
            "name": name,
            "image_size": model.input_shape[1],
            "classes": model.output_shape[-1],
            "images_per_second": round(batch_size / statistics.median(seconds[name]), 1),
            "slowest": round(batch_size / max(seconds[name]), 1),
            "fastest": round(batch_size / min(seconds[name]), 1),
        }
        for name, model in models.items()
    ]


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks; by default those of the tables")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, help="write the result as JSON here")
    args = parser.parse_args()
    result = {
        "machine": machine(),
        "dtype": keras.config.dtype_policy().name,
        "batch_size": args.batch_size,
        "warm_up": WARM_UP,
        "repeats": args.repeats,
        "networks": measure(
            args.names or [*published(), *UNTRAINED], args.batch_size, args.repeats
        ),
    }
    report(result, args.out)


if __name__ == "__main__":
    main()
