"""Does batch normalisation make the loss smoother? VGG with and without it, trained and measured.

The experiment of a public notebook after Santurkar et al.: two networks that differ in batch
normalisation alone, and of each, while it trains, every measure of smoothness and covariate shift.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np

from isozoo.data import open_split
from isozoo.data.augment import Augment
from isozoo.data.batches import steps_per_epoch
from isozoo.data.labels import labels_of
from isozoo.data.samples import Samples, cache_images
from isozoo.data.sequence import evaluation_sequence, training_sequence
from isozoo.diagnostics.callbacks import (
    ActivationsCallback,
    CovariateShiftCallback,
    DistancesCallback,
    SmoothnessCallback,
)
from isozoo.diagnostics.distributions import Activations
from isozoo.diagnostics.landscapes import Landscape, landscape
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.shifts import CovariateShift
from isozoo.diagnostics.showing import number, table
from isozoo.diagnostics.travel import Distances
from isozoo.diagnostics.walks import Smoothness
from isozoo.errors import unknown
from isozoo.experiments.vgg_pairs import Pair, compared
from isozoo.experiments.vgg_scales import Scale, scales
from isozoo.models.classifier import Classifier
from isozoo.training.setup import compile_classifier

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of one network.

    Args:
        network: Its name.
        parameters: Number of its trained values.
        loss: Training loss of each epoch.
        accuracy: Validation accuracy in [0, 1] after each epoch.
        seconds: Time that training and measuring took of one processor.
        exact: Smoothness by the definitions.
        notebook: Smoothness as the notebook measures it.
        shift: Covariate shift by the definition.
        shift_notebook: Covariate shift as the notebook measures it.
        activations: What the layers were given of validation images, by running statistics.
        distances: How far the kernels went.
        landscape: The loss around the trained network.
    """

    network: str
    parameters: int
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    seconds: float
    exact: Smoothness
    notebook: Smoothness
    shift: CovariateShift
    shift_notebook: CovariateShift
    activations: Activations
    distances: Distances
    landscape: Landscape


@dataclasses.dataclass(frozen=True)
class Study(Result):
    """What was measured of both networks.

    Args:
        model: The two names.
        scale: Name of the scale.
        dataset: What the images were.
        images: Training images.
        plain: The network without batch normalisation.
        normalised: The one with it.
    """

    measure: ClassVar[str] = "vgg"

    scale: str
    dataset: str
    images: int
    plain: Measured
    normalised: Measured

    def compared(self) -> list[Pair]:
        """Return each measure of both networks, and which of them it is in favour of."""
        return compared(self.plain, self.normalised)

    def table(self) -> Table:
        """Return the medians of each measure, and the network that its moments are in favour of."""
        right = ("PLAIN", "BN", "BN SMALLER")
        title = f"{self.model}: medians over the steps measured"
        shown = table("MEASURE", *right, "IN FAVOUR OF", right=right, title=title)
        pairs = [f"{100 * m.accuracy[-1]:.1f} %" for m in (self.plain, self.normalised)]
        shown.add_row("validation accuracy", *pairs, "", "")
        for pair in self.compared():
            count = f"{pair.smaller} of {pair.moments}"
            shown.add_row(pair.name, *map(number, pair.medians), count, pair.favours)
        return shown

    def plot(self) -> Figure:
        """Return a panel for each measure, with both networks in it."""
        from isozoo.experiments.vgg_plot import draw_study

        return draw_study(self)


def vgg_study(
    data: str | os.PathLike[str] | Mapping[str, Samples] | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    scale: str = "small",
    told: Callable[[Measured], None] = lambda measured: None,
) -> Study:
    """Train VGG without and with batch normalisation, and measure both while they train.

    Args:
        data: Images, as `isozoo.training.train` takes them; the scale's data set if None.
        out: Folder for `vgg.json` and `vgg.png`; nothing is written for None.
        scale: `"small"`, minutes on a processor; or `"notebook"`, hours on one.
        told: Called after each network.

    Returns:
        What was measured.

    Raises:
        UnknownNameError: There is no such scale.
        DataError: The data are not there, or fewer than a batch.
        MissingExtraError: Matplotlib, with `out`, or TensorFlow Datasets is not installed.

    Reference:
        Santurkar et al., "How Does Batch Normalization Help Optimization?", NeurIPS 2018.
    """
    known = scales()
    if scale not in known:
        raise unknown("scale", scale, known)
    chosen = known[scale]
    given = chosen.dataset if data is None else data
    samples = {
        split: given[split] if isinstance(given, Mapping) else open_split(given, split)
        for split in ("train", "val")
    }
    measured = []
    for network in chosen.networks:
        measured.append(measure(chosen, network, samples))
        told(measured[-1])
    study = Study(
        model=" and ".join(chosen.networks),
        scale=scale,
        dataset=chosen.dataset if isinstance(given, Mapping) else Path(given).name,
        images=len(samples["train"]),
        plain=measured[0],
        normalised=measured[1],
    )
    if out is not None:
        study.save(out)
    return study


def measure(scale: Scale, network: str, samples: Mapping[str, Samples]) -> Measured:
    """Train one network and measure it on the batches that it is about to train on.

    Args:
        scale: How.
        network: Its name.
        samples: Images under the keys `train` and `val`.
    """
    began = time.process_time()
    recipe = scale.recipe_of(network)
    training, validation = samples["train"], samples["val"]
    if recipe.cache is not None:
        training = cache_images(training, recipe.cache)
    steps = steps_per_epoch(training, recipe.batch_size)
    keras.utils.set_random_seed(recipe.seed)
    model = Classifier(
        recipe.architecture(len(training.classes)),
        labels=labels_of(training.classes),
        preprocessing=recipe.preparation(),
        data_format="channels_last",
        name=network,
    )
    compile_classifier(model, recipe, steps)

    def batches() -> Any:
        (size,) = {phase.size for phase in recipe.phases}
        augment: Augment = recipe.augmentation(size)
        return training_sequence(
            training, preprocessing=recipe.preparation(), augment=augment,
            batch_size=recipe.batch_size, seed=recipe.seed, epochs=range(recipe.epochs),
        )  # fmt: skip

    proof = evaluation_sequence(validation, recipe.preparation(), recipe.batch_size, cache=True)
    at = range(scale.every // 2, recipe.epochs * steps, scale.every)
    watch = _watch(at, batches().__getitem__, _first(proof, recipe.batch_size))
    history = model.fit(
        batches(), epochs=recipe.epochs, steps_per_epoch=steps, validation_data=proof,
        callbacks=list(watch.values()), shuffle=False, verbose=0,
    ).history  # fmt: skip
    images, labels = _first(proof, scale.landscape_images)
    return Measured(
        network=network,
        parameters=sum(int(np.prod(v.shape)) for v in model.trainable_variables),
        loss=tuple(history["loss"]),
        accuracy=tuple(history["val_accuracy"]),
        landscape=landscape(model, images, labels, points=scale.landscape_points),
        **{name: callback.result() for name, callback in watch.items()},
        seconds=round(time.process_time() - began, 1),
    )


def _watch(
    at: range, trained_on: Callable[[int], Any], probe: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Return what measures during training, by fields of `Measured`.

    Args:
        at: The steps to measure before.
        trained_on: Returns the batch that a step trains on.
        probe: The one batch whose distributions are followed: only the network changes them.
    """
    return {
        "exact": SmoothnessCallback(at, trained_on),
        "notebook": SmoothnessCallback(at, trained_on, "notebook"),
        "shift": CovariateShiftCallback(at, trained_on),
        "shift_notebook": CovariateShiftCallback(at, trained_on, {"variant": "notebook"}),
        "activations": ActivationsCallback(at, probe, {"training": False}),
        "distances": DistancesCallback(),
    }


def _first(batches: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images and labels of batches as one."""
    images, labels, found = [], [], 0
    for i in range(len(batches)):
        if found < count:
            images.append(batches[i][0])
            labels.append(batches[i][1])
            found += len(labels[-1])
    return np.concatenate(images)[:count], np.concatenate(labels)[:count]
