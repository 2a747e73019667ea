"""Draw the site's plots from the logs in `weights/`, each time the site is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isozoo.training.plots import plot_runs

ROOT = Path(__file__).resolve().parents[1]


def on_pre_build(config: Any) -> None:
    """Write `assets/runs.png` from the log of every set of weights."""
    logs = {
        path.parent.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in sorted(ROOT.glob("weights/*/log.jsonl"))
    }
    assets = Path(config.docs_dir) / "assets"
    assets.mkdir(exist_ok=True)
    plot_runs(logs, assets / "runs.png")
