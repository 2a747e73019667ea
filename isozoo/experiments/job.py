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
import tomli_w

from isozoo.data import InMemoryImages, open_split
from isozoo.data.samples import Samples
from isozoo.errors import ExperimentError
from isozoo.experiments.results import DIVERGED, FINISHED, RunResult
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
    def text(self) -> str:
        """The recipe as TOML."""
        return tomli_w.dumps(self.settings)

    @property
    def recipe(self) -> Path:
        """Where the recipe is written."""
        return self.out / RECIPES / f"{self.name}.toml"

    def outcome(self) -> RunResult | None:
        """Return what it came to if it was done before.

        Raises:
            ExperimentError: Its folder holds a run with other settings.
        """
        if self.recipe.is_file() and self.recipe.read_text("utf-8") != self.text:
            raise ExperimentError(
                f"{self.folder} was run with other settings than its table has now; remove it and "
                f"{self.recipe}, or give another --out"
            )
        return read_outcome(self.folder / OUTCOME) if (self.folder / OUTCOME).is_file() else None

    def write_recipe(self) -> Path:
        """Write the recipe, and return where."""
        self.recipe.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.recipe, self.text)
        return self.recipe

    def run(self) -> RunResult:
        """Train, or go on where an earlier process was stopped, and note what came of it.

        Raises:
            TrainingInterrupted: A signal asked to stop; the next call goes on.
        """
        self.write_recipe()
        self.folder.mkdir(exist_ok=True)
        with _output_to(self.folder / OUTPUT):
            result = self._train()
        atomic_write(self.folder / OUTCOME, json.dumps(dataclasses.asdict(result), indent=1))
        # They serve to go on, which there is nothing left of.
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        keras.backend.clear_session()
        return result

    def _train(self) -> RunResult:
        samples = _samples(self.data, self.settings.get("cache"))
        found: dict[str, Any] = {"outcome": FINISHED}
        try:
            run = train(self.recipe, samples, self.out, resume=True, strategy=self.strategy)
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
            f"{path} is damaged ({error}); remove it, and the run goes on from its last checkpoint"
        ) from error


@functools.lru_cache(maxsize=1)
def _samples(data: str, cache: int | None) -> dict[str, Samples]:
    """Return the data set's splits; with a cache, decoded once for all jobs of this process."""
    from isozoo.data.samples import cache_images

    found: dict[str, Samples] = {split: open_split(data, split) for split in ("train", "val")}
    if cache is not None:
        found["train"] = cache_images(found["train"], cache)
        validation = found["val"]
        # As they are: how much they are shrunk would show in the accuracy.
        images = [validation.image(index) for index in range(len(validation))]
        found["val"] = InMemoryImages(images, validation.labels, validation.classes)
    return found


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
