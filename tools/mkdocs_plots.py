"""MkDocs hook: gives the site what belongs to the weights and what was measured, as it is built."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import filter_tables
import laboratory_tables
import propagation_tables
import smoothness_tables
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from isozoo import experiments
from isozoo.benchmark import Comparison, plot
from isozoo.models.curves import plot_runs
from isozoo.models.manifest import CURVE, LOG, RECIPE
from isozoo.models.provenance import read_log

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `assets/runs.png`, all runs in one plot, and each one's own files in `assets/NAME/`.

    The rows of the suite of benchmarks become `assets/performance/KEY.png`, and the experiments
    that were run `assets/experiments/TABLE-SCALE.png`. What was measured of signal propagation
    becomes `assets/propagation/*.png`, of singular values and filters `assets/filters/*.png`,
    of smoothness `assets/smoothness/*.png`, and of the laboratory's own page
    `assets/laboratory/*.png`.

    They are files of the site and not of docs/, which `mkdocs serve` watches for changes.
    """
    logs = {path.parent.name: read_log(path) for path in sorted(ROOT.glob(f"weights/*/{LOG}"))}
    with tempfile.TemporaryDirectory() as folder:
        picture = plot_runs(logs, Path(folder) / "runs.png").read_bytes()
    files.append(File.generated(config, "assets/runs.png", content=picture))
    for name in (RECIPE, CURVE):
        for path in sorted(ROOT.glob(f"weights/*/{name}")):
            target = f"assets/{path.parent.name}/{name}"
            files.append(File.generated(config, target, content=path.read_bytes()))
    pictures = {f"performance/{key}": picture for key, picture in _measured().items()}
    pictures |= _experiments()
    for measured in (filter_tables, laboratory_tables, propagation_tables, smoothness_tables):
        pictures |= measured.pictures()
    for key, picture in pictures.items():
        files.append(File.generated(config, f"assets/{key}.png", content=picture))
    return files


def _experiments() -> dict[str, bytes]:
    """Return the plot of each experiment that was run."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(ROOT.glob("benchmarks/results/experiments/*.json")):
            results = experiments.read_results(path)
            table = experiments.read_table(results.table)
            picture = experiments.plot(results, table, Path(folder) / "plot.png")
            found[f"experiments/{path.stem}"] = picture.read_bytes()
    return found


def _measured() -> dict[str, bytes]:
    """Return the plot of each row of the suite that was measured, by its key."""
    result = ROOT / "benchmarks/results/performance.json"
    rows = json.loads(result.read_text(encoding="utf-8"))["rows"] if result.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        return {
            row["key"]: plot(
                Comparison.from_json(row["comparison"]), Path(folder) / f"{row['key']}.png"
            ).read_bytes()
            for row in rows
        }
