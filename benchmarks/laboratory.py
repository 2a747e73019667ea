"""Measure norms, angles and Jacobians of published weights, before and after their training.

    python benchmarks/laboratory.py imagenette2-160.tar r-isonet-18-w32.imagenette ...
    python benchmarks/laboratory.py imagenette2-160.tar --explain RUN ...

Writes `isometry-NAME.json` and `jacobian-NAME.json` to `benchmarks/results/diagnostics` for each
name, or `explanation-NAME.json` for each run that failed. `docs/laboratory.md` is filled from them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from isozoo.diagnostics.explanation import explain
from isozoo.diagnostics.measures import MEASURES, compare
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.subject import open_subject
from isozoo.files import atomic_write

RESULTS = Path(__file__).parent / "results" / "diagnostics"
IMAGES = 16


def write(found: Result, name: str) -> None:
    """Write a result under the name of its measure and subject."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found.to_json(), allow_nan=False)
    atomic_write(RESULTS / f"{found.measure}-{name}.json", text + "\n")
    print(RESULTS / f"{found.measure}-{name}.json")


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="data set, as `isozoo evaluate` takes it")
    parser.add_argument("names", nargs="+", help="names of weights, or folders of runs")
    parser.add_argument("--explain", action="store_true", help="explain runs that failed")
    parser.add_argument("--images", type=int, default=IMAGES, help="%(default)s")
    args = parser.parse_args()
    for name in args.names:
        if args.explain:
            found = explain(name, args.data, images=args.images)
            write(found, found.model.partition(".")[0])
            continue
        pair = [
            dataclasses.replace(subject, label=label)
            for label, subject in (
                ("before", open_subject(name, args.data, images=args.images, fresh=True)),
                ("after", open_subject(name, args.data, images=args.images)),
            )
        ]
        for measure in ("isometry", "jacobian"):
            print(MEASURES[measure].estimate(pair[1]))
            write(compare(*(MEASURES[measure].run(subject) for subject in pair)), name)


if __name__ == "__main__":
    main()
