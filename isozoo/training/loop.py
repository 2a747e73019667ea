"""The training run: a recipe and a data set in, a weights folder out."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import keras

from isozoo.data import ImageFolder
from isozoo.data.augment import Augment
from isozoo.data.labels import labels_of
from isozoo.data.preprocessing import Preprocessing
from isozoo.data.samples import Samples, cache_images
from isozoo.errors import RecipeError
from isozoo.models.classifier import Classifier
from isozoo.models.folder import write_folder
from isozoo.training.callbacks import AfterEpoch, EpochLog, ProgressBar
from isozoo.training.checkpoint import Checkpoints
from isozoo.training.evaluation import measure
from isozoo.training.recipe import Recipe
from isozoo.training.setup import compile_classifier
from isozoo.zoo.cards import card


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


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """Return how the recipe's network wants its pictures."""
    return Preprocessing.from_dict(dataclasses.asdict(recipe.preprocessing))


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
        RecipeError: The recipe is wrong, or `out` holds a run and `resume` is false.
        DataError: The data are not laid out as expected.
        WeightsError: There are checkpoints, but none that this recipe can continue from.
        DivergedError: The loss was no longer finite.
    """
    plan, text = Recipe.read(recipe), Path(recipe).read_text("utf-8")
    directory = Path(out) / plan.name
    checkpoints = Checkpoints(directory / "checkpoints")
    if checkpoints.directory.exists() and not resume:
        raise RecipeError(
            f"{directory} holds a run already; resume it (--resume), or give another --out"
        )
    checkpoints.directory.mkdir(parents=True, exist_ok=True)
    training, validation = (ImageFolder.open(data, split) for split in ("train", "val"))
    model = _fit(plan, training, validation, directory, checkpoints)
    metrics = measure(model, validation)
    folder = directory / plan.name
    log = [json.loads(line) for line in (directory / "log.jsonl").read_text("utf-8").splitlines()]
    write_folder(
        model,
        folder,
        tag=plan.tag,
        metrics=metrics,
        recipe=text,
        log=log,
        card=card,
    )
    return TrainingRun(model, folder, log, metrics)


def _fit(
    plan: Recipe,
    training: Samples,
    validation: Samples,
    directory: Path,
    checkpoints: Checkpoints,
) -> Classifier:
    """Run all phases, from the newest checkpoint on if there is one."""
    from isozoo.data.pipeline import evaluation_dataset, steps_per_epoch, training_dataset

    keras.utils.set_random_seed(plan.seed)
    preprocessing = preprocessing_of(plan)
    model = Classifier(
        plan.architecture(len(training.classes)),
        labels=labels_of(training.classes),
        preprocessing=preprocessing,
        dtype=plan.model.dtype,
    )
    steps = steps_per_epoch(training, plan.batch_size)
    compile_classifier(model, plan, steps)
    settings = json.loads(json.dumps(dataclasses.asdict(plan)))
    done = checkpoints.restore(model, settings)
    log = EpochLog(directory / "log.jsonl", done, steps * plan.batch_size)
    callbacks = [
        log,
        AfterEpoch(lambda epoch: checkpoints.save(model, epoch, settings)),
        ProgressBar(plan.epochs, done, steps),
    ]
    check = evaluation_dataset(validation, preprocessing, plan.batch_size)
    if plan.cache is not None:
        training, check = cache_images(training, plan.cache), check.cache()
    validated = [e for e in range(1, plan.epochs) if e % plan.validate_every == 0] + [plan.epochs]
    for epochs, size in plan.phase_ranges():
        if epochs.stop <= done:
            continue
        log.size = size
        left = range(max(epochs.start, done), epochs.stop)
        batches = training_dataset(
            training,
            preprocessing=preprocessing,
            augment=Augment(size=size, **dataclasses.asdict(plan.augment)),
            batch_size=plan.batch_size,
            seed=plan.seed,
            epochs=left,
        )
        model.fit(
            batches,
            initial_epoch=left.start,
            epochs=left.stop,
            steps_per_epoch=steps,
            validation_data=check,
            validation_freq=validated,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    return model
