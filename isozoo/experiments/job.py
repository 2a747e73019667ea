"""One run of an experiment, in a process that does several of them one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tomli_w

from isozoo.benchmark.machine import machine, versions
from isozoo.data import open_split
from isozoo.data.samples import Samples, shrunk
from isozoo.errors import ExperimentError
from isozoo.experiments.results import DIVERGED, FINISHED, RunResult
from isozoo.experiments.table import settings_hash
from isozoo.files import atomic_write
from isozoo.models.manifest import LOG
from isozoo.models.provenance import read_log
from isozoo.training import DivergedError, Recipe, train
from isozoo.training.runs import CHECKPOINTS

#: Files in the folder of a run, beside those of `train`.
OUTCOME, OUTPUT = "outcome.json", "output.txt"
#: Folder of the recipes, beside the runs.
RECIPES = "recipes"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run: what is trained on which images, and where its files go.

    Args:
        row: Name of the row.
        column: Name of the column.
        seed: Its seed.
        settings: The recipe's settings.
        data: The data set, as `train` takes it.
        out: Folder of runs; what is there already is not done again.
        strategy: Devices, as `train` takes it.
    """

    row: str
    column: str
    seed: int
    settings: dict[str, Any]
    data: str
    out: Path
    strategy: str = "one"

    @property
    def name(self) -> str:
        """Name of the run."""
        return Recipe.from_dict(self.settings).name

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.out / self.name

    @property
    def dataset(self) -> str:
        """The data set without its folder."""
        return Path(self.data).name if Path(self.data).exists() else self.data

    def outcome(self) -> RunResult | None:
        """Return what it came to if it was done before.

        Raises:
            ExperimentError: Its folder holds a run with other settings or of another data set.
        """
        path = self.folder / OUTCOME
        if not path.is_file():
            return None
        found = read_outcome(path)
        now = {"settings": settings_hash(self.settings), "dataset": self.dataset}
        for key, value in now.items():
            if getattr(found, key) != value:
                raise ExperimentError(
                    f"{self.folder} was run with another {key.removesuffix('s')} "
                    f"({getattr(found, key)}, now {value}); remove it, or give another --out"
                )
        return found

    def write_recipe(self) -> Path:
        """Write the recipe, and return where."""
        path = self.out / RECIPES / f"{self.name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, tomli_w.dumps(self.settings))
        return path

    def run(self) -> RunResult:
        """Train, or go on where an earlier process was stopped, and note what came of it.

        Raises:
            TrainingInterrupted: A signal asked to stop; the next call goes on.
        """
        recipe = self.write_recipe()
        self.folder.mkdir(exist_ok=True)
        with _output_to(self.folder / OUTPUT):
            result = self._train(recipe)
        atomic_write(self.folder / OUTCOME, json.dumps(dataclasses.asdict(result), indent=1))
        # They serve to go on, which there is nothing left of.
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        keras.backend.clear_session()
        return result

    def _train(self, recipe: Path) -> RunResult:
        samples = _samples(self.data, self.settings.get("cache"))
        found: dict[str, Any] = {"outcome": FINISHED}
        try:
            run = train(recipe, samples, self.out, resume=True, strategy=self.strategy)
            found |= {name: run.metrics[name] for name in ("top1", "top5", "images")}
        except DivergedError as error:
            found |= {"outcome": DIVERGED, "reason": str(error).replace(f"{self.out}/", "")}
        path = self.folder / LOG
        log = read_log(path) if path.is_file() else []
        last = log[-1] if log else {}
        return RunResult(
            row=self.row,
            column=self.column,
            seed=self.seed,
            model=self.settings["model"]["name"],
            settings=settings_hash(self.settings),
            dataset=self.dataset,
            training_images=len(samples["train"]),
            strategy=self.strategy,
            machine={key: value for key, value in machine().items() if key != "load"},
            versions=versions(),
            epochs=len(log),
            seconds=round(sum(epoch["seconds"] for epoch in log), 1),
            training_accuracy=last.get("accuracy"),
            cross_entropy=last.get("cross_entropy"),
            penalty=last.get("penalty"),
            chance=_chance(samples["val"]),
            **found,
        )


def read_outcome(path: Path) -> RunResult:
    """Return what a run noted that it came to.

    Raises:
        ExperimentError: The file is damaged.
    """
    try:
        return RunResult(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ExperimentError(
            f"{path} is damaged ({error}); remove the folder {path.parent} to run it anew"
        ) from error


class DecodedOnce:
    """Samples that are decoded when they are first asked for, and then stay in memory.

    A damaged one stays damaged, for whoever reads it to pass over.

    Args:
        samples: The samples.
        short_side: Side to which they are shrunk; None for none.
    """

    def __init__(self, samples: Samples, short_side: int | None):
        self.classes: tuple[str, ...] = samples.classes
        self.labels: np.ndarray = samples.labels
        self._samples, self._short_side = samples, short_side
        self._decoded: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one sample."""
        found = self._decoded.get(index)
        if found is None:
            found = self._samples.image(index)
            if self._short_side is not None:
                found = shrunk(found, self._short_side)
            self._decoded[index] = found
        return found


@functools.lru_cache(maxsize=1)
def _samples(data: str, cache: int | None) -> dict[str, Samples]:
    """Return the data set's splits; with a cache, decoded once for all jobs of this process."""
    found = {split: open_split(data, split) for split in ("train", "val")}
    if cache is None:
        return found
    # Those to validate on stay as they are: how much they are shrunk would show in the accuracy.
    sides = {"train": cache, "val": None}
    return {split: DecodedOnce(samples, sides[split]) for split, samples in found.items()}


def _chance(samples: Samples) -> float:
    (_, most), *_ = Counter(samples.labels.tolist()).most_common(1)
    return most / len(samples)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what this process prints to a file: several of them share one terminal."""
    with path.open("a") as stream:
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(stream.fileno(), number)
            yield
        finally:
            for opened in (sys.stdout, sys.stderr):
                opened.flush()
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
