"""What a trained network's filters do, and what it costs to remove some.

    python benchmarks/pruning.py r-isonet-18-w32.imagenette --data imagenette2-160.tar

Filters are measured on every `--every`-th training image, accuracies on as many of the validation
images, which is why they differ from those in the table of models. Everything goes to
`benchmarks/results/diagnostics`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import isozoo
from isozoo.data import InMemoryImages, Samples, open_split
from isozoo.data.streams import streams
from isozoo.diagnostics.filter_report import filters
from isozoo.diagnostics.pruning import FineTuning, prune_classifier
from isozoo.diagnostics.result import Result
from isozoo.files import atomic_write

RESULTS = Path(__file__).resolve().parent / "results" / "diagnostics"
#: What is removed: by what, which share, and whether the rest is trained on.
STUDIES = {
    "dead": ("dead", 0.0, None),
    "entropy-10": ("entropy", 0.1, FineTuning(epochs=2, learning_rate=0.01, size=96)),
    # The control: as many, of no score.
    "random-10": ("random", 0.1, FineTuning(epochs=2, learning_rate=0.01, size=96)),
    "entropy-30": ("entropy", 0.3, FineTuning(epochs=2, learning_rate=0.01, size=96)),
}


def every(samples: Samples, step: int) -> Samples:
    """Return every step-th image, held in memory."""
    numbers = np.arange(0, len(samples), step)
    images = [samples.image(int(number)) for number in numbers]
    return InMemoryImages(images, samples.labels[numbers], samples.classes)


def write(name: str, result: Result) -> None:
    """Write a result's record."""
    record = json.dumps(result.to_json(), allow_nan=False)
    atomic_write(RESULTS / f"{name}.json", record + "\n")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--every", type=int, default=6)
    args = parser.parse_args()
    model = isozoo.load(args.name)
    training = every(open_split(args.data, "train"), args.every)
    validation = every(open_split(args.data, "val"), args.every)
    batches = streams().evaluation(training, model.preprocessing, 64)
    report = filters(model, batches, args.name)
    write(f"filters-{args.name}", report)
    print({name: len(dead) for name, dead in report.dead.items()})
    for key, (by, share, tuning) in STUDIES.items():
        if by == "dead" and not report.dead:
            continue
        _, found = prune_classifier(model, training, validation, share, by, tuning=tuning)
        write(f"pruning-{args.name}-{key}", found)
        print(key, found.parameters, found.accuracies, flush=True)


if __name__ == "__main__":
    main()
