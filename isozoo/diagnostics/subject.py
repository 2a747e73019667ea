"""What is measured: a network by its name, with images of a data set."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isozoo.data import open_split
from isozoo.data.labels import labels_of
from isozoo.data.samples import Samples
from isozoo.errors import DataError, DiagnosticsError
from isozoo.models.architecture import Architecture
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder
from isozoo.models.manifest import MANIFEST, RECIPE
from isozoo.training.checkpoint import Checkpoints
from isozoo.training.recipe import Recipe
from isozoo.training.runs import CHECKPOINTS

#: The learning rate of measures that take a step, where no recipe says it.
LEARNING_RATE = 0.1


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network and the images that it is measured on.

    Args:
        label: What it is called.
        model: The network.
        images: Preprocessed images `(images, height, width, channels)`.
        labels: Their classes, `(images,)`.
        learning_rate: The highest of its recipe.
        fresh: Whether it is untrained, so that its running statistics mean nothing.
    """

    label: str
    model: Classifier
    images: np.ndarray
    labels: np.ndarray
    learning_rate: float = LEARNING_RATE
    fresh: bool = False

    @functools.cached_property
    def compiled(self) -> Classifier:
        """The network with an optimiser, for measures that ask what a step would do."""
        import keras

        optimizer = keras.optimizers.SGD(self.learning_rate, momentum=0.9)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer=optimizer, loss=loss)
        optimizer.build(self.model.trainable_variables)
        return self.model


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
        name: Weights by name or folder, a run's folder, or with `fresh` an architecture.
        data: What `isozoo.data.open_split` takes.
        split: Split to draw from.
        images: How many; all classes are drawn from alike, as far as the data have them.
        fresh: Whether to build the network untrained.
        seed: Of the draw, and of an untrained network's weights.

    Raises:
        DataError: The data set has other classes than the network, or too few images.
        DiagnosticsError: The folder of a run has no recipe.
        WeightsError: The weights cannot be loaded.
        UnknownNameError: No such network.
    """
    samples = open_split(data, split)
    model, label, plan = _network(name, samples, fresh, seed)
    found = labels_of(samples.classes)
    if found != model.labels:
        raise DataError(
            f"{data} has the classes {', '.join(found[:5])}...; {name} was trained on "
            f"{', '.join(model.labels[:5])}...: measure it on a data set of its own classes"
        )
    chosen = draw(samples, images, seed)
    batch = model.preprocess([samples.image(number) for number in chosen])
    rate = plan.optimizer.learning_rate if plan else LEARNING_RATE
    return Subject(label, model, batch, samples.labels[chosen], rate, fresh)


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
    import keras

    keras.utils.set_random_seed(seed)
    return Classifier(arch.replace(dropout=0.0), labels, preprocessing)


def is_run(name: str | os.PathLike[str]) -> bool:
    """Return whether a name is the folder of a training run, which is not a weights folder."""
    folder = Path(name)
    return (folder / RECIPE).is_file() and not (folder / MANIFEST).is_file()


def _network(
    name: str | os.PathLike[str], samples: Samples, fresh: bool, seed: int
) -> tuple[Classifier, str, Recipe | None]:
    labels = labels_of(samples.classes)
    if is_run(name):
        plan = Recipe.read(Path(name) / RECIPE)
        arch, prepared = plan.architecture(len(labels)), plan.preparation()
        if fresh:
            return untrained(arch, labels, prepared, plan.seed), f"{plan.name}, untrained", plan
        return _trained(Path(name), plan, labels), plan.name, plan
    if fresh:
        from isozoo.models.architecture import architecture, split_name

        text = split_name(os.fspath(name))[0]
        model = untrained(architecture(text, classes=len(labels)), labels, None, seed)
        return model, f"{text}, untrained", None
    from isozoo.zoo.loading import load

    return load(name), Path(name).name, None


def _trained(folder: Path, plan: Recipe, labels: Sequence[str]) -> Classifier:
    """Return the network that a run made, or the newest that it saved on the way."""
    finished = folder / plan.name
    if (finished / MANIFEST).is_file():
        return load_folder(finished)
    saved = Checkpoints(folder / CHECKPOINTS).folders()
    if not saved:
        raise DiagnosticsError(
            f"the run {folder} has neither weights nor a checkpoint; measure its network untrained "
            "with --fresh, or leave out --measure for what made it fail"
        )
    model = Classifier(plan.architecture(len(labels)), labels, plan.preparation())
    (weights,) = saved[-1].glob("*.weights.h5")
    model.load_weights(weights)
    return model
