"""The training run: a recipe and a data set in, a weights folder out."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import keras

from isozoo.data import ImageFolder
from isozoo.data.labels import labels_of
from isozoo.data.samples import Samples, cache_images
from isozoo.errors import DataError, RecipeError
from isozoo.models.classifier import Classifier
from isozoo.models.folder import write_folder
from isozoo.models.manifest import LOG
from isozoo.models.provenance import read_log
from isozoo.training.callbacks import AfterEpoch, EpochLog, ProgressBar
from isozoo.training.checkpoint import Checkpoints
from isozoo.training.evaluation import measure
from isozoo.training.recipe import Recipe
from isozoo.training.setup import compile_classifier


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """What a finished run leaves behind.

    Args:
        model: The trained classifier.
        directory: Its weights folder.
        log: One mapping per epoch.
        metrics: Measured on the whole validation split: `top1`, `top5`, `cross_entropy`, `images`.
    """

    model: Classifier
    directory: Path
    log: list[dict[str, Any]]
    metrics: dict[str, float]


def train(
    recipe: str | os.PathLike[str],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str] = "runs",
    resume: bool = False,
) -> TrainingRun:
    """Train a classifier as a recipe says.

    Every epoch appends a line to `out/<name>/log.jsonl` and then writes a checkpoint; a run that
    is killed loses at most the epoch it was in and, resumed, gives the numbers it would have
    given. The finished weights folder is `out/<name>/<name>/`.

    Args:
        recipe: TOML file, see `Recipe`.
        data: Folder or tar of `train/<class>/*` and `val/<class>/*`.
        out: Folder for runs.
        resume: Whether to go on from the newest checkpoint.

    Returns:
        The trained model, its folder, log and metrics.

    Raises:
        RecipeError: The recipe is wrong, or `out` holds a run and `resume` is false, or what a run
            left there but no checkpoint.
        DataError: The data are not laid out as expected, or the splits have different classes.
        WeightsError: There are checkpoints, but none that this recipe can continue from.
        DivergedError: The loss was no longer finite.
        ImageError: A picture is damaged; the message names its file.
    """
    plan, text = Recipe.read(recipe), Path(recipe).read_text("utf-8")
    training, validation = (ImageFolder.open(data, split) for split in ("train", "val"))
    _check_same_classes(training, validation)
    directory = Path(out) / plan.name
    checkpoints = Checkpoints(directory / "checkpoints")
    _refuse_older_run(directory, plan.name, bool(checkpoints.folders()), resume)
    checkpoints.directory.mkdir(parents=True, exist_ok=True)
    model = _fit(plan, training, validation, directory, checkpoints)
    metrics = measure(model, validation)
    folder = directory / plan.name
    log = read_log(directory / LOG)
    write_folder(model, folder, tag=plan.tag, metrics=metrics, recipe=text, log=log)
    return TrainingRun(model, folder, log, metrics)


def _fit(
    plan: Recipe,
    training: Samples,
    validation: Samples,
    directory: Path,
    checkpoints: Checkpoints,
) -> Classifier:
    """Run all phases, from the newest checkpoint on if there is one."""
    from isozoo.data.pipeline import reading_errors, steps_per_epoch

    keras.utils.set_random_seed(plan.seed)
    model = Classifier(
        plan.architecture(len(training.classes)),
        labels=labels_of(training.classes),
        preprocessing=plan.preparation(),
        data_format="channels_last",  # as the data pipeline makes them; a weights folder has none
        dtype=plan.model.dtype,
    )
    steps = steps_per_epoch(training, plan.batch_size)
    compile_classifier(model, plan, steps)
    settings = json.loads(json.dumps(dataclasses.asdict(plan)))
    # Not of the recipe, but another run all the same if they differ.
    settings |= {"classes": list(training.classes), "images": len(training)}
    done = checkpoints.restore(model, settings)
    log = EpochLog(directory / LOG, done, steps * plan.batch_size)
    with ProgressBar(plan.epochs, done, steps) as progress, reading_errors():
        save = AfterEpoch(lambda epoch: checkpoints.save(model, epoch, settings))
        _run_phases(plan, model, training, validation, done, log, [log, save, progress])
    return model


def _run_phases(
    plan: Recipe,
    model: Classifier,
    training: Samples,
    validation: Samples,
    done: int,
    log: EpochLog,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Fit a compiled model over all epochs after the first `done`, phase by phase."""
    from isozoo.data.pipeline import evaluation_dataset, steps_per_epoch, training_dataset

    # Whoever has the memory for the training images has it for those of the validations.
    check = evaluation_dataset(
        validation, model.preprocessing, plan.batch_size, cache=plan.cache is not None
    )
    if plan.cache is not None:
        training = cache_images(training, plan.cache)
    validated = [e for e in range(1, plan.epochs) if e % plan.validate_every == 0] + [plan.epochs]
    for epochs, size in plan.phase_ranges():
        if epochs.stop <= done:
            continue
        log.size = size
        left = range(max(epochs.start, done), epochs.stop)
        batches = training_dataset(
            training,
            preprocessing=model.preprocessing,
            augment=plan.augmentation(size),
            batch_size=plan.batch_size,
            seed=plan.seed,
            epochs=left,
        )
        model.fit(
            batches,
            initial_epoch=left.start,
            epochs=left.stop,
            steps_per_epoch=steps_per_epoch(training, plan.batch_size),
            validation_data=check,
            validation_freq=validated,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )


def _refuse_older_run(directory: Path, name: str, checkpoints: bool, resume: bool) -> None:
    """Refuse to write over a run, or over what is left of one that cannot be continued."""
    if checkpoints:
        if not resume:
            raise RecipeError(
                f"{directory} holds a run already; resume it (--resume), or give another --out"
            )
        return
    left = [item for item in (LOG, name) if (directory / item).exists()]
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
