"""What is measured: a network by its name, with images of a data set."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import random
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from isozoo.data import open_split
from isozoo.data.labels import labels_of
from isozoo.data.preprocessing import IMAGENET
from isozoo.data.samples import Samples
from isozoo.diagnostics.ahead import learning_rate_of
from isozoo.diagnostics.floors import channel_axis
from isozoo.diagnostics.taps import graph
from isozoo.errors import DataError, DiagnosticsError
from isozoo.files import atomic_write
from isozoo.models.architecture import Architecture, architecture, split_name
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder
from isozoo.models.manifest import MANIFEST, RECIPE
from isozoo.training.checkpoint import Checkpoints
from isozoo.training.recipe import Recipe
from isozoo.training.runs import CHECKPOINTS
from isozoo.training.settings import ScheduleSettings
from isozoo.training.setup import make_optimizer
from isozoo.zoo.loading import load

#: The learning rate of measures that take a step, where no recipe says it.
LEARNING_RATE = 0.1
#: How files of whole Keras models end.
KERAS_FILE = ".keras"
#: File beside results that says what they are of.
NOTE = "subject.json"


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Return a context in which networks are built the same for the same seed, or a decorator.

    Keras draws the seeds of initialisers from Python's generator, and of no other; it is afterwards
    what it was. The weights are those after `keras.utils.set_random_seed(seed)`.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network and the images that it is measured on.

    Args:
        label: What it is called.
        model: The network.
        images: Preprocessed images `(images, height, width, channels)`.
        labels: Their classes, `(images,)`.
        fresh: Whether it is untrained, so that its running statistics mean nothing.
        plan: The recipe that trains it, if it is known.
    """

    label: str
    model: keras.Model
    images: np.ndarray
    labels: np.ndarray
    fresh: bool = False
    plan: Recipe | None = None

    @property
    def learning_rate(self) -> float:
        """The highest of the recipe, that of the network's own optimiser, or a usual one."""
        if self.plan is not None:
            return self.plan.optimizer.learning_rate
        return learning_rate_of(self.model) if _has_optimizer(self.model) else LEARNING_RATE

    @functools.cached_property
    def compiled(self) -> keras.Model:
        """The network with an optimiser, for measures that ask what a step would do.

        With its own, or that of its recipe at the highest learning rate. The network itself is not
        compiled for it: the optimiser is given to another model of the same layers.
        """
        if _has_optimizer(self.model):
            return self.model
        twin = keras.Model(self.model.inputs, self.model.outputs, name=self.model.name)
        if self.plan is None:
            optimizer = keras.optimizers.SGD(LEARNING_RATE, momentum=0.9)
        else:
            plan = dataclasses.replace(self.plan, schedule=ScheduleSettings(name="constant"))
            optimizer = make_optimizer(twin, plan, steps_per_epoch=1)
        twin.compile(optimizer)
        return twin

    def note(self, folder: Path) -> None:
        """Write down beside its results, in a folder that is made if needed, what was measured."""
        folder.mkdir(parents=True, exist_ok=True)
        said = {"label": self.label, "images": list(self.images.shape)}
        atomic_write(folder / NOTE, json.dumps(said) + "\n")

    def check_beside(self, folder: Path) -> None:
        """Refuse to stand beside results in a folder that are of images of another shape.

        Raises:
            DiagnosticsError: They are.
        """
        note = folder / NOTE
        said = json.loads(note.read_text("utf-8")) if note.is_file() else {}
        shape = list(self.images.shape)
        if said.get("images", shape) != shape:
            raise DiagnosticsError(
                f"{folder} has what was measured of {said['label']} on images {said['images']}, "
                f"and {self.label} would be on {shape}; measure both alike, with the same --images "
                "and networks of the same preprocessing"
            )


def _has_optimizer(model: keras.Model) -> bool:
    return getattr(model, "optimizer", None) is not None


# Keras draws numbers for networks whose weights are then read as well.
@seeded(0)
def open_subject(
    name: str | os.PathLike[str],
    data: str | os.PathLike[str],
    split: str = "val",
    images: int = 32,
    fresh: bool = False,
    seed: int = 0,
) -> Subject:
    """Return a network by its name, with images drawn from a data set.

    Args:
        name: Weights by name or folder, a run's folder, a `.keras` file, or with `fresh` an
            architecture.
        data: What `isozoo.data.open_split` takes.
        split: Split to draw from.
        images: How many; all classes are drawn from alike, as far as the data have them.
        fresh: Whether to build the network untrained: as it was before training, its options,
            preprocessing and seed included, of weights, runs and files that say them.
        seed: Of the draw, and of an untrained network's weights where no recipe says it.

    Raises:
        DataError: The data set has other classes than the network, or too few images.
        DiagnosticsError: A run left no weights, or a Keras file is missing or takes no squares.
        WeightsError: The weights cannot be loaded.
        UnknownNameError: No such network.
    """
    samples = open_split(data, split)
    labels = labels_of(samples.classes)
    model, label, plan = _network(name, labels, fresh, seed)
    _check_classes(name, model, data, labels)
    chosen = draw(samples, images, seed)
    pictures = [samples.image(number) for number in chosen]
    return Subject(label, model, _prepared(model, pictures), samples.labels[chosen], fresh, plan)


def draw(samples: Samples, count: int, seed: int = 0) -> np.ndarray:
    """Return the numbers of images drawn from all classes in turn.

    Raises:
        DataError: There are fewer.

    Example:
        >>> from isozoo.data import InMemoryImages
        >>> black, labels = np.zeros((9, 4, 4, 3), np.uint8), [0, 0, 0, 1, 0, 0, 0, 0, 0]
        >>> data = InMemoryImages(black, labels, ["a", "b"])
        >>> bool(np.isin(3, draw(data, 2)))
        True
    """
    if not 1 <= count <= len(samples):
        raise DataError(
            f"asked for {count} images of a split that has {len(samples)}; ask for fewer"
        )
    random = np.random.default_rng(seed)
    order = random.permutation(len(samples))
    labels = samples.labels[order]
    turns = np.zeros(len(order), int)
    for label in np.unique(labels):
        turns[labels == label] = np.arange(np.sum(labels == label))
    return order[np.argsort(turns, kind="stable")][:count]


def untrained(
    arch: Architecture, labels: Sequence[str], preprocessing: Any = None, seed: int = 0
) -> Classifier:
    """Return a network as it is before training, the same for the same seed, without dropout."""
    with seeded(seed):
        return Classifier(arch.replace(dropout=0.0), labels, preprocessing)


def is_run(name: str | os.PathLike[str]) -> bool:
    """Return whether a name is the folder of a training run, which is not a weights folder."""
    folder = Path(name)
    return (folder / RECIPE).is_file() and not (folder / MANIFEST).is_file()


def left_weights(folder: Path, plan: Recipe, labels: Sequence[str]) -> Classifier | None:
    """Return the network that a run made, or the newest that it saved on the way; None if none.

    Args:
        folder: The run's.
        plan: Its recipe.
        labels: Its classes.

    Raises:
        WeightsError: What it left is damaged.
    """
    finished = folder / plan.name
    if (finished / MANIFEST).is_file():
        return load_folder(finished)
    saved = Checkpoints(folder / CHECKPOINTS).folders()
    if not saved:
        return None
    model = Classifier(plan.architecture(len(labels)), labels, plan.preparation())
    (weights,) = saved[-1].glob("*.weights.h5")
    model.load_weights(weights)
    return model


#: A network, what it is called, and the recipe that trains it.
Found = tuple[keras.Model, str, Recipe | None]


def _network(name: str | os.PathLike[str], labels: Sequence[str], fresh: bool, seed: int) -> Found:
    if Path(name).suffix == KERAS_FILE:
        return _of_keras(Path(name), fresh, seed)
    if is_run(name):
        return _of_run(Path(name), labels, fresh)
    base, tag = split_name(os.fspath(name))
    if fresh and tag is None and not Path(name).is_dir():
        arch = architecture(base, classes=len(labels))
        return untrained(arch, labels, None, seed), f"{base}, untrained", None
    model = load(name)
    plan = _recipe_of(model)
    if not fresh:
        return model, Path(name).name, plan
    seed = plan.seed if plan else seed
    made = untrained(model.architecture, model.labels, model.preprocessing, seed)
    return made, f"{Path(name).name}, untrained", plan


def _of_keras(path: Path, fresh: bool, seed: int) -> Found:
    if not path.is_file():
        raise DiagnosticsError(f"there is no file {path}; give one that `model.save` wrote")
    model = keras.saving.load_model(path)
    if not fresh:
        return model, path.stem, None
    label = f"{path.stem}, untrained"
    if isinstance(model, Classifier):
        made = untrained(model.architecture, model.labels, model.preprocessing, seed)
        return made, label, None
    with seeded(seed):
        return keras.models.clone_model(model), label, None


def _of_run(folder: Path, labels: Sequence[str], fresh: bool) -> Found:
    plan = Recipe.read(folder / RECIPE)
    if fresh:
        arch = plan.architecture(len(labels))
        model = untrained(arch, labels, plan.preparation(), plan.seed)
        return model, f"{plan.name}, untrained", plan
    found = left_weights(folder, plan, labels)
    if found is None:
        raise DiagnosticsError(
            f"the run {folder} has neither weights nor a checkpoint; measure its network untrained "
            "with --fresh, or leave out --measure for what made it fail"
        )
    return found, plan.name, plan


def _recipe_of(model: Classifier) -> Recipe | None:
    """Return the recipe that weights say they were trained with."""
    text = model.provenance.recipe if model.provenance else None
    return Recipe.from_dict(tomllib.loads(text)) if text else None


def _check_classes(
    name: str | os.PathLike[str],
    model: keras.Model,
    data: str | os.PathLike[str],
    labels: Sequence[str],
) -> None:
    """Refuse data of other classes than the network's."""
    if isinstance(model, Classifier):
        if model.labels != labels:
            raise DataError(
                f"{data} has the classes {', '.join(labels[:5])}...; {name} was trained on "
                f"{', '.join(model.labels[:5])}...: measure it on a data set of its own classes"
            )
    elif model.output_shape[-1] != len(labels):
        raise DataError(
            f"{data} has {len(labels)} classes, and {name} gives {model.output_shape[-1]} numbers "
            "for an image; measure it on a data set of its own classes"
        )


def _prepared(model: keras.Model, pictures: Sequence[Any]) -> np.ndarray:
    """Return a batch as the network wants it.

    What a Keras file holds does not say how; its pictures are cut to its input, or to 224 pixels,
    and normalised as those of ImageNet usually are.
    """
    if isinstance(model, Classifier):
        return model.preprocess(pictures)
    first = channel_axis(graph(model)) == 1
    _, *shape = model.input_shape
    channels, height, width = shape if first else (shape[2], *shape[:2])
    if height != width:
        raise DiagnosticsError(
            f"{model.name} takes images of {height} by {width} pixels, and pictures are cut to "
            "squares; call `isozoo.diagnostics.diagnose` with a batch of your own"
        )
    size = height or IMAGENET.size
    prepared = dataclasses.replace(IMAGENET, resize=round(size / 0.875), size=size)
    prepare = prepared.with_channels(channels)
    batch = np.stack([prepare(picture) for picture in pictures])
    return batch.transpose(0, 3, 1, 2) if first else batch
