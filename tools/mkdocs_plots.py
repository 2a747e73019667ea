"""MkDocs hook: gives the site what belongs to the weights, each time the site is built."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from isozoo.models.curves import plot_runs
from isozoo.models.manifest import CURVE, LOG, RECIPE
from isozoo.models.provenance import read_log

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `assets/runs.png`, all runs in one plot, and each one's own files in `assets/NAME/`.

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
    return files
