"""The runs in a folder, read from what they left there: recipe, log, checkpoints, weights."""

from __future__ import annotations

import dataclasses
import os
import statistics
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isozoo.errors import DataError, IsozooError
from isozoo.models.manifest import LOG, RECIPE, Log
from isozoo.models.provenance import read_log

CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What is known of one run without loading it.

    Args:
        name: Name of the run, `<model>.<tag>`.
        directory: Its folder.
        log: One record per finished epoch.
        epochs: Epochs that its recipe has; None if it left no recipe.
        finished: Whether its weights folder is there.
        fault: Why the log or the recipe could not be read; empty if they could.

    Example:
        >>> log = [{"epoch": 1, "val_accuracy": 0.5, "loss": 2.0, "seconds": 3.0}]
        >>> RunRecord("r-isonet-8.demo", Path("runs"), log, epochs=2).summary()["top1"]
        0.5
    """

    name: str
    directory: Path
    log: Log = ()
    epochs: int | None = None
    finished: bool = False
    fault: str = ""

    def last(self, key: str) -> float | None:
        """Return a number of the log as the latest epoch that has it gives it."""
        return next((row[key] for row in reversed(self.log) if key in row), None)

    def summary(self) -> dict[str, Any]:
        """Return what is compared of runs: progress, accuracy, loss, penalty, rate and speed."""
        speeds = [row["images_per_second"] for row in self.log if "images_per_second" in row]
        accuracies = [row["val_accuracy"] for row in self.log if "val_accuracy" in row]
        return {
            "name": self.name,
            "state": "damaged" if self.fault else "finished" if self.finished else "unfinished",
            "epoch": len(self.log),
            "epochs": self.epochs,
            "top1": self.last("val_accuracy"),
            "best_top1": max(accuracies, default=None),
            "loss": self.last("loss"),
            "penalty": self.last("penalty"),
            "learning_rate": self.last("learning_rate"),
            "images_per_second": statistics.median(speeds) if speeds else None,
            "seconds": round(sum(row.get("seconds", 0.0) for row in self.log), 2),
            "rollbacks": sum(len(row.get("rollbacks", ())) for row in self.log),
            "directory": str(self.directory),
        }


def find_runs(directory: str | os.PathLike[str]) -> list[RunRecord]:
    """Return the runs in a folder of runs, or the one run whose folder it is.

    Args:
        directory: What `train` was given as `out`, or a run's own folder.

    Returns:
        A record for each run, by name; one whose log or recipe is damaged says so in `fault`.

    Raises:
        DataError: There is no such folder, or no run in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = Path(folder, "r-isonet-8.demo")
        ...     run.mkdir()
        ...     _ = (run / "log.jsonl").write_text('{"epoch": 1, "loss": 2.0}')
        ...     [(found.name, len(found.log)) for found in find_runs(folder)]
        [('r-isonet-8.demo', 1)]
    """
    root = Path(directory)
    if not root.is_dir():
        raise DataError(f"no folder at {root}; give the one that `train` got as --out")
    inside = [path for path in sorted(root.iterdir()) if _is_run(path)]
    folders = [root] if _is_run(root) else inside
    if not folders:
        raise DataError(
            f"{root} holds no runs: no folder in it has a {LOG} or {CHECKPOINTS}; give the one "
            "that `train` got as --out"
        )
    return [_read(folder) for folder in folders]


def _is_run(folder: Path) -> bool:
    return (folder / LOG).is_file() or (folder / CHECKPOINTS).is_dir()


def _read(folder: Path) -> RunRecord:
    name = folder.resolve().name
    record = RunRecord(name, folder, finished=(folder / name).is_dir())
    try:
        log = read_log(folder / LOG) if (folder / LOG).exists() else []
        return dataclasses.replace(record, log=log, epochs=_epochs(folder / RECIPE))
    except (IsozooError, OSError) as error:
        return dataclasses.replace(record, fault=str(error))


def _epochs(recipe: Path) -> int | None:
    """Return the epochs of a recipe, which is not read through and through: that takes Keras."""
    if not recipe.exists():
        return None
    try:
        plan: Mapping[str, Any] = tomllib.loads(recipe.read_text("utf-8"))
        return sum(phase["epochs"] for phase in plan["phases"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{recipe} is not a recipe ({error!r}); put the right one there") from error
