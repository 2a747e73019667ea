"""Train one network with the exact penalty, with estimates of it, and with it on one step in k.

    python benchmarks/probe.py --data imagenette2-160.tar --out benchmarks/results/probe.json

Each arm is trained once for each seed by `benchmarks/probe.toml`; a run that is finished is not
repeated, one that was interrupted goes on. What counts is the last epoch's top-1 accuracy, and the
exact penalty of the trained kernels: how near to isometries an estimate of the penalty holds them.
Speeds are not compared: the runs follow each other, for hours.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from isozoo.files import atomic_write
from isozoo.training import Recipe, train

#: Name of each arm and its `[penalty]` table.
ARMS: dict[str, dict[str, int | str]] = {
    "exact": {},
    "every-4": {"every": 4},
    "probe-16": {"method": "probe", "probes": 16},
    "probe-4": {"method": "probe", "probes": 4},
}


def recipe(arm: str, seed: int) -> str:
    """Return the recipe of one run: the base with tag, seed and the arm's table."""
    base = Path(__file__).with_suffix(".toml").read_text("utf-8")
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in ARMS[arm].items())
    tail = f"\n[penalty]\n{table}" if table else ""
    return f'tag = "{arm}-s{seed}"\nseed = {seed}\n{base}{tail}'


def run(arm: str, seed: int, data: Path, runs: Path) -> dict[str, int | float | str]:
    """Train one arm with one seed, unless that is done already; return what came of it."""
    path = runs / f"{arm}-s{seed}.toml"
    atomic_write(path, recipe(arm, seed))
    name = Recipe.read(path).name
    if not (runs / name / name).exists():
        train(path, data, runs, resume=True)
    log = (runs / name / "log.jsonl").read_text("utf-8")
    last = json.loads(log.splitlines()[-1])
    return {
        "arm": arm,
        "seed": seed,
        "epochs": last["epoch"],
        "top1": last["val_accuracy"],
        "cross_entropy": last["val_cross_entropy"],
        "penalty": last["penalty"],
    }


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or tar of Imagenette")
    parser.add_argument("--runs", type=Path, default=Path("runs/probe"), help="where runs are kept")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--out", type=Path, required=True, help="write the result as JSON here")
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    rows = [run(arm, seed, args.data, args.runs) for arm in args.arms for seed in args.seeds]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, json.dumps({"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
