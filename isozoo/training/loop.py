"""The training run: a recipe and a data set in, a weights folder out."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isozoo.data import open_split
from isozoo.data.damage import Damage, ReplacedImages, SoundImages
from isozoo.data.samples import Samples
from isozoo.errors import DataError, RecipeError
from isozoo.files import atomic_write
from isozoo.models.classifier import Classifier
from isozoo.models.folder import write_folder
from isozoo.models.manifest import LOG, RECIPE
from isozoo.models.provenance import read_log
from isozoo.training.checkpoint import NOTES, Checkpoints
from isozoo.training.distribute import open_strategy
from isozoo.training.distribute.alike import check_alike, check_shared, given
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.evaluation import measure
from isozoo.training.feed import Feed
from isozoo.training.fitting import ROLLBACKS, Fitting
from isozoo.training.interrupt import StopRequest
from isozoo.training.lock import locked
from isozoo.training.options import Options
from isozoo.training.recipe import Recipe
from isozoo.training.recovery import Stop, StoppableNetwork

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """What a finished run leaves behind.

    Args:
        model: The trained classifier.
        directory: Its weights folder.
        log: One mapping per epoch.
        metrics: Measured on the whole validation split: `top1`, `top5`, `cross_entropy`, `images`.
        chief: Whether this process is the one of several that tells what came of it.
    """

    model: Classifier
    directory: Path
    log: list[dict[str, Any]]
    metrics: dict[str, float]
    chief: bool = True


def train(
    recipe: str | os.PathLike[str],
    data: str | os.PathLike[str] | Mapping[str, Samples],
    out: str | os.PathLike[str] = "runs",
    resume: bool = False,
    *,
    checkpoint_minutes: float | None = 10.0,
    csv: bool = False,
    tensorboard: bool = False,
    strategy: str | Strategy = "one",
) -> TrainingRun:
    """Train a classifier as a recipe says.

    Every epoch appends a line to `out/<name>/log.jsonl`. Checkpoints are written after each epoch,
    every few minutes within it, and on SIGTERM or Ctrl-C, which end the step under way and then the
    run; a run that is killed loses what it did since the last one and, resumed, gives the numbers
    it would have given. The finished weights folder is `out/<name>/<name>/`.

    Args:
        recipe: TOML file, see `Recipe`.
        data: What `isozoo.data.open_split` takes: a folder or tar of `train/<class>/*` and
            `val/<class>/*`, or a data set of TensorFlow Datasets; or samples under the keys `train`
            and `val`, such as `InMemoryImages`.
        out: Folder for runs.
        resume: Whether to go on from the newest checkpoint that is whole.
        checkpoint_minutes: Minutes between checkpoints within an epoch, more than 0; None for none.
        csv: Whether to write the log as a table too, `log.csv`.
        tensorboard: Whether to write event files to `tensorboard/`.
        strategy: What trains: a key of `isozoo.training.distribute.STRATEGIES`, or what
            `open_strategy` returned in this process. With several workers each calls this, at once
            and with the same arguments, `out` being a folder that all of them see; the chief alone
            writes, and each returns the same.

    Returns:
        The trained model, its folder, log and metrics.

    Raises:
        RecipeError: The recipe is wrong, or `out` holds a run and `resume` is false, or what a run
            left there but no checkpoint.
        RunBusyError: Another process trains in `out` and did not end in half a minute.
        DataError: The data are not laid out as expected, or the splits have different classes.
        WeightsError: There are checkpoints, but none that this recipe can continue from.
        DivergedError: The loss exploded or was no longer finite, and the recipe has no rollback
            left; the message names the first bad step and the layer that went first.
        TrainingInterrupted: A signal asked to stop; every step up to there is in a checkpoint.
        CheckpointError: The disk is full; the checkpoints before are untouched.
        ImageError: More pictures are damaged than the recipe's `max_damaged`; the message names the
            first few.
        MissingExtraError: TensorBoard was asked for, or a data set by its name, and what it needs
            is not installed.
        StrategyError: The strategy cannot be had here, or cannot do what the recipe asks, or the
            workers were not given the same, or do not all see `out`.
        WorkerLostError: Another worker is gone; all have to be started again with `resume`.
        ValueError: `checkpoint_minutes` is not positive.
    """
    options = Options(checkpoint_minutes, csv=csv, tensorboard=tensorboard)
    plan, text = Recipe.read(recipe), Path(recipe).read_text("utf-8")
    # Before anything is computed: it may have to start a cluster, and may take signals.
    workers = open_strategy(strategy) if isinstance(strategy, str) else strategy
    workers.check(plan)
    training, validation = _opened(data, plan.max_damaged)
    _check_same_classes(training, validation)
    directory = Path(out) / plan.name
    checkpoints = Checkpoints(directory / "checkpoints", _identity(plan, training))
    with workers.guard(), locked(directory, workers, resume), StopRequest() as request:
        check_alike(workers, given(text, {"train": training, "val": validation}))
        workers.decide(lambda: _begin(directory, plan.name, text, checkpoints, resume))
        check_shared(directory, workers)
        stop = Stop(request, checkpoints)
        feed = Feed(plan, training, validation, stop, workers)
        model = Fitting(plan, feed, directory, checkpoints, options).run()
        log, metrics = workers.decide(
            lambda: _finish(model, validation, directory, plan, text, stop)
        )
    for told in (training.damage.summary, validation.damage.summary):
        if told:
            _LOG.warning("%s", told)
    return TrainingRun(model, directory / plan.name, log, metrics, workers.chief)


def _begin(directory: Path, name: str, text: str, checkpoints: Checkpoints, resume: bool) -> None:
    """Make the run's folder, if it may be."""
    _refuse_older_run(directory, name, checkpoints, resume)
    checkpoints.directory.mkdir(parents=True, exist_ok=True)
    if not checkpoints.folders():
        atomic_write(directory / RECIPE, text)
        if not resume:
            (directory / ROLLBACKS).unlink(missing_ok=True)


def _finish(
    model: Classifier, validation: Samples, directory: Path, plan: Recipe, text: str, stop: Stop
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Measure a trained network and write its weights folder; return log and metrics."""
    poll = functools.partial(stop.poll, "the last measurement")
    metrics = measure(StoppableNetwork(model, poll), validation)
    log, folder = read_log(directory / LOG), directory / plan.name
    with stop.checkpoints.writing(folder):
        write_folder(model, folder, tag=plan.tag, metrics=metrics, recipe=text, log=log)
    return log, metrics


def _opened(
    data: str | os.PathLike[str] | Mapping[str, Samples], limit: int
) -> tuple[ReplacedImages, SoundImages]:
    """Return the splits, passing over damaged images up to a limit in each."""
    training, validation = (
        data[split] if isinstance(data, Mapping) else open_split(data, split)
        for split in ("train", "val")
    )
    return (
        ReplacedImages(training, Damage(limit, "train")),
        SoundImages(validation, Damage(limit, "val")),
    )


def _identity(plan: Recipe, training: Samples) -> dict[str, Any]:
    """Return what must be the same for a run to go on from a checkpoint."""
    settings = json.loads(json.dumps(dataclasses.asdict(plan)))
    # What to do about a bad step or picture says nothing about the good ones before it.
    # Notes say nothing at all.
    for name in ("recovery", "max_damaged", *NOTES):
        del settings[name]
    return settings | {"classes": list(training.classes), "images": len(training)}


def _refuse_older_run(directory: Path, name: str, checkpoints: Checkpoints, resume: bool) -> None:
    """Refuse to write over a run, or over what is left of one that cannot be continued."""
    if checkpoints.folders():
        if not resume:
            raise RecipeError(
                f"{directory} holds a run already; resume it (--resume), or give another --out"
            )
        return
    left = [item for item in (LOG, name) if (directory / item).exists()]
    begun = resume and left == [LOG] and checkpoints.directory.is_dir()
    if begun and len(read_log(directory / LOG)) == 1:
        return  # killed between the first epoch's line and the first checkpoint
    if left:
        raise RecipeError(
            f"{directory} holds {' and '.join(left)} of an earlier run and no checkpoint to go on "
            "from; give another --out"
        )


def _check_same_classes(training: Samples, validation: Samples) -> None:
    """Refuse splits whose labels would number their classes differently."""
    if training.classes != validation.classes:
        different = sorted({*training.classes} ^ {*validation.classes})
        raise DataError(
            f"train and val have different classes: {', '.join(different[:5])} "
            f"({len(training.classes)} and {len(validation.classes)} classes in all); "
            "give each class a folder in both"
        )
