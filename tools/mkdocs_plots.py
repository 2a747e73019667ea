"""MkDocs hook: draws the site's plots from the logs in `weights/` each time the site is built."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from isozoo.training.plots import plot_runs

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `assets/runs.png`: accuracy and penalty over the epochs of every set of weights."""
    logs = {
        path.parent.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in sorted(ROOT.glob("weights/*/log.jsonl"))
    }
    # A file of the site and not of docs/, which `mkdocs serve` watches for changes.
    with tempfile.TemporaryDirectory() as folder:
        picture = plot_runs(logs, Path(folder) / "runs.png").read_bytes()
    files.append(File.generated(config, "assets/runs.png", content=picture))
    return files
