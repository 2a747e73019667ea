"""Whether convolutions stay isometries through training: with the penalty, and without.

    python benchmarks/spectra.py RUNS... --weights NAME...

RUNS are folders that `isozoo reproduce` wrote, with one folder for each run; each network is
measured as it started, built anew with the run's seed, and as it ended. NAMEs are weights of the
catalog, which are measured alike. The summary of every run goes to
`benchmarks/results/diagnostics/spectra.json`, and for the pictures of `docs/filters.md` the
singular values over depth of those of seed 0 that `PICTURED` names.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras

import isozoo
from isozoo.diagnostics.singular_spectra import NetworkSpectra, Spectra, spectra
from isozoo.files import atomic_write
from isozoo.models.folder import load_folder
from isozoo.training.recipe import Recipe

RESULTS = Path(__file__).resolve().parent / "results" / "diagnostics"
#: What stands for the table of networks that are in no experiment.
WEIGHTS = "weights"
#: Rows that are drawn, by their tables: with SReLU and Delta, with the penalty and without.
PICTURED = {
    "ablation-small": ("isonet", "srelu-delta"),
    WEIGHTS: ("r-isonet-18-w32.imagenette",),
}


class Trained(NamedTuple):
    """A network after training, and what is known of how it came about."""

    table: str
    row: str
    seed: int
    folder: Path
    recipe: Path
    outcome: dict[str, Any]


def runs(folder: Path) -> Iterator[Trained]:
    """Yield the finished runs of an experiment, by their outcomes."""
    for path in sorted(folder.glob("*/outcome.json")):
        outcome = json.loads(path.read_text("utf-8"))
        weights = [manifest.parent for manifest in path.parent.glob("*/*/isozoo.json")]
        if outcome["outcome"] == "finished" and weights:
            recipe = path.parent / "recipe.toml"
            yield Trained(folder.name, outcome["row"], outcome["seed"], weights[0], recipe, outcome)


def published(name: str) -> Trained:
    """Return weights of the catalog, with the recipe that made them."""
    folder = RESULTS.parents[2] / "weights" / name
    recipe = folder / "recipe.toml"
    metrics = json.loads((folder / "isozoo.json").read_text("utf-8"))["metrics"]
    return Trained(WEIGHTS, name, Recipe.read(recipe).seed, folder, recipe, metrics)


def measured(run: Trained) -> tuple[dict[str, Any], Spectra]:
    """Return a run's summary, and its spectra before and after."""
    model = load_folder(run.folder)
    keras.utils.set_random_seed(run.seed)
    fresh = isozoo.Classifier(model.architecture)
    size = Recipe.read(run.recipe).phases[-1].size
    both = spectra(fresh, size, "at the start").beside(spectra(model, size, f"{run.row}, trained"))
    before, after = both.networks
    about = {
        "table": run.table,
        "row": run.row,
        "model": model.architecture.name,
        "seed": run.seed,
        "orthogonality": model.architecture.orthogonality,
        "size": size,
        "top1": run.outcome.get("top1"),
        "before": _summary(before),
        "after": _summary(after),
    }
    return about, both


def _summary(network: NetworkSpectra) -> dict[str, Any]:
    plain = [layer for layer in network.constrained if max(layer.strides) == 1]
    return {
        "layers": len(network.constrained),
        "rms": network.distance(),
        "rms_strided": network.distance(strided=True),
        "worst": max(layer.nearest.spectral for layer in plain),
        "smallest": min(layer.minimum for layer in plain),
        "median": sorted(layer.median for layer in plain)[len(plain) // 2],
        "largest": max(layer.maximum for layer in plain),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--rows", nargs="*", help="of the experiments, these rows only")
    parser.add_argument("--weights", nargs="*", default=())
    args = parser.parse_args()
    trained = [run for folder in args.runs for run in runs(folder)]
    trained = [run for run in trained if args.rows is None or run.row in args.rows]
    trained += [published(name) for name in args.weights]
    path = RESULTS / "spectra.json"
    rows = json.loads(path.read_text("utf-8"))["runs"] if path.is_file() else []
    for run in trained:
        about, both = measured(run)
        print(run.row, run.seed, about["before"]["rms"], about["after"]["rms"], flush=True)
        # What is measured anew takes the place of what was.
        rows = [row for row in rows if _key(row) != _key(about)] + [about]
        atomic_write(path, json.dumps({"runs": rows}, indent=1) + "\n")
        if run.table in PICTURED and run.seed == 0 and run.row in PICTURED[run.table]:
            record = json.dumps(both.to_json(), allow_nan=False)
            atomic_write(RESULTS / f"spectra-{run.row}.json", record + "\n")


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["table"], row["row"], row["model"], row["seed"]


if __name__ == "__main__":
    main()
