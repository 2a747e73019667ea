"""What pruning costs: a classifier measured before, after, and after training it some more."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from isozoo.data.augment import Augment
from isozoo.data.batches import steps_per_epoch
from isozoo.data.samples import Samples
from isozoo.data.streams import streams
from isozoo.diagnostics import showing
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.filter_report import FilterReport, filters, filters_cost
from isozoo.diagnostics.operators import multiply_adds
from isozoo.diagnostics.pruning.choosing import dead_filters, held_filters, weakest_filters
from isozoo.diagnostics.pruning.removal import Pruned, prune
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.taps import graph
from isozoo.errors import DiagnosticsError
from isozoo.models.classifier import Classifier
from isozoo.training.evaluation import measure
from isozoo.training.losses import CrossEntropy
from isozoo.training.optimizers import TorchSGD

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: The way of choosing that takes all dead filters, whatever the share.
DEAD = "dead"


@dataclasses.dataclass(frozen=True)
class Width:
    """The channels of one layer before and after.

    Args:
        name: Path of the convolution or dense layer.
        before: Its filters as it was.
        after: Its filters that are left.
    """

    name: str
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class PruningReport(Result):
    """What `prune_classifier` did and measured.

    Args:
        model: The network that was pruned.
        chosen: How filters were chosen, in words.
        exact: Whether the smaller network answers as before on the images that were looked at.
        parameters: Numbers of parameters before and after.
        multiply_adds: Those for one image before and after.
        widths: The layers that lost filters.
        images: Number of images that accuracies are of.
        accuracies: Top-1 accuracy in [0, 1], in the order `"before"`, `"after"` and, if the smaller
            network was trained some more, `"fine-tuned"`.
        epochs: Epochs of that.
        held: Activations with filters that could not be removed whatever their score, with their
            number and the reason, see `held_filters`.
    """

    measure = "pruning"

    chosen: str
    exact: bool
    parameters: tuple[int, int]
    multiply_adds: tuple[int, int]
    widths: tuple[Width, ...]
    images: int
    accuracies: dict[str, float]
    epochs: int
    held: dict[str, str]

    def error(self, when: str) -> float:
        """Return the standard error of an accuracy, as that of a share of so many images.

        The difference of two accuracies on the same images is known better than that.

        Args:
            when: Which of `accuracies`.
        """
        share = self.accuracies[when]
        return math.sqrt(share * (1 - share) / self.images)

    def table(self) -> Table:
        """Return the network's size and accuracy before and after."""
        title = f"{self.model} without {self.chosen}"
        found = showing.table("", "BEFORE", "AFTER", right=("BEFORE", "AFTER"), title=title)
        filters = (sum(w.before for w in self.widths), sum(w.after for w in self.widths))
        for name, pair in (
            ("filters of the layers that lost any", filters),
            ("parameters", self.parameters),
            ("multiply-adds for an image", self.multiply_adds),
        ):
            found.add_row(name, *(f"{value:,}" for value in pair))
        before, *after = (
            f"{100 * value:.2f} ± {100 * self.error(name):.2f} %"
            for name, value in self.accuracies.items()
        )
        for name, value in zip(list(self.accuracies)[1:], after, strict=True):
            words = f"top-1 on {self.images:,} images"
            if name == "fine-tuned":
                words = f"the same after {self.epochs} epochs more"
            found.add_row(words, before, value)
        notes = [f"not removable in {name}: {why}" for name, why in self.held.items()]
        found.caption = "\n".join(("± is the standard error, from the number of images", *notes))
        found.caption_justify = "left"
        return found

    def plot(self) -> Figure:
        """Return the widths of the layers before and after, and the accuracies."""
        figure, panels = showing.figure(columns=2)
        widths, accuracies = panels[0]
        places = range(1, len(self.widths) + 1)
        widths.bar(places, [w.before for w in self.widths], color="0.8", label="before")
        widths.bar(places, [w.after for w in self.widths], color="C0", width=0.5, label="after")
        widths.set(xlabel="layer that lost filters", ylabel="filters")
        widths.legend(fontsize=8)
        values = [100 * value for value in self.accuracies.values()]
        bars = accuracies.bar(list(self.accuracies), values, color="C0")
        accuracies.bar_label(bars, [f"{value:.1f}" for value in values])
        accuracies.set(ylabel=f"top-1 accuracy in %, {self.images:,} images", ylim=(0, 105))
        figure.suptitle(f"{self.model} without {self.chosen}", fontsize=10)
        return figure


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """How a pruned network is trained some more.

    Args:
        epochs: Passes over the training images.
        learning_rate: Rate of SGD with momentum 0.9.
        batch_size: Images in a batch.
        size: Side of the images in pixels; the preprocessing's if None.
        seed: Seed of the order and of the augmentation.
    """

    epochs: int = 1
    learning_rate: float = 0.01
    batch_size: int = 32
    size: int | None = None
    seed: int = 0


def prune_classifier(
    model: Classifier,
    training: Samples,
    validation: Samples,
    share: float = 0.25,
    by: str = "entropy",
    *,
    tied: bool = False,
    seen: Samples | None = None,
    tuning: FineTuning | None = None,
    batch_size: int = 64,
) -> tuple[keras.Model, PruningReport]:
    """Measure a classifier's filters, remove some, and say what it costs.

    Args:
        model: The classifier.
        training: Images that the smaller network is trained on some more.
        validation: Images that accuracies are measured on.
        share: Share of the filters of each activation to remove.
        by: What filters are chosen by: `"dead"`, which takes all that are and no others, or one of
            `isozoo.diagnostics.pruning.choosing.SCORES`.
        tied: Whether channels that shortcuts tie together may be chosen too.
        seen: Images that filters are measured on; `training` if None.
        tuning: How to train afterwards; not at all if None.
        batch_size: Images computed at once.

    Returns:
        The smaller model, which is a plain functional one, and the report.

    Raises:
        DiagnosticsError: There is nothing to remove.
    """
    before = measure(model, validation, batch_size)
    with streams().errors():
        batches = streams().evaluation(
            training if seen is None else seen, model.preprocessing, batch_size
        )
        report = filters(model, batches)
        pruned = _without(model, report, share, by, tied, batches)
    accuracies = {"before": before["top1"]}
    accuracies["after"] = measure(_Network(model, pruned.model), validation, batch_size)["top1"]
    if tuning is not None:
        fine_tune(pruned.model, model, training, tuning)
        tuned = measure(_Network(model, pruned.model), validation, batch_size)
        accuracies["fine-tuned"] = tuned["top1"]
    size = model.preprocessing.size
    return pruned.model, PruningReport(
        model=_name(model),
        chosen="dead filters" if by == DEAD else f"{100 * share:g} % of the filters, by {by}",
        exact=bool(pruned.exact),
        parameters=(model.count_params(), pruned.model.count_params()),
        multiply_adds=(multiply_adds(model, size), multiply_adds(pruned.model, size)),
        widths=_widths(model, pruned),
        images=int(before["images"]),
        accuracies=accuracies,
        epochs=tuning.epochs if tuning else 0,
        held=held_filters(model, report),
    )


def pruning_cost(
    model: Classifier,
    seen: int,
    validation: int,
    training: int,
    tuning: FineTuning | None = None,
    batch_size: int = 64,
) -> Cost:
    """Return what `prune_classifier` will cost.

    Args:
        model: The classifier.
        seen: Number of images that filters are measured on.
        validation: Number of images that accuracies are measured on.
        training: Number of images that the smaller network is trained on some more.
        tuning: How; not at all if None.
        batch_size: Images computed at once.
    """
    cost = filters_cost(model, seen, batch_size)
    # Filters and means; accuracies before and after; a training step costs about three passes.
    images = 2 * seen + (2 if tuning is None else 3) * validation
    images += 0 if tuning is None else 3 * tuning.epochs * training
    passes = -(-images // batch_size)
    return cost._replace(what="pruning, and accuracy before and after", passes=passes)


def fine_tune(
    pruned: keras.Model, original: Classifier, training: Samples, tuning: FineTuning
) -> None:
    """Train a pruned classifier some more, with what penalties its layers have.

    Args:
        pruned: The smaller model, which is changed.
        original: The classifier that it was made of, whose preprocessing it shares.
        training: The images.
        tuning: How.
    """
    steps = steps_per_epoch(training, tuning.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(tuning.learning_rate, tuning.epochs * steps)
    pruned.compile(TorchSGD(rate, momentum=0.9), CrossEntropy())
    with streams().errors():
        images = streams().training(
            training,
            preprocessing=original.preprocessing,
            augment=Augment(tuning.size or original.preprocessing.size, scale=(0.35, 1.0)),
            batch_size=tuning.batch_size,
            seed=tuning.seed,
            epochs=range(tuning.epochs),
        )
        keras.utils.set_random_seed(tuning.seed)
        pruned.fit(
            images, epochs=tuning.epochs, steps_per_epoch=steps, shuffle=False, verbose=0
        )  # fmt: skip


def _without(
    model: Classifier, report: FilterReport, share: float, by: str, tied: bool, batches: Any
) -> Pruned:
    """Return a model without the filters that a report tells to remove."""
    if by == DEAD:
        chosen: Mapping = dead_filters(model, report)
    else:
        chosen = weakest_filters(model, report, share, by, tied)
    if not chosen:
        raise DiagnosticsError(
            f"asked to remove filters by '{by}', found none on {report.images} images; choose a "
            "share of at least 1 in the number of filters of a layer, by 'entropy'"
        )
    return prune(model, chosen, batches)


def _name(model: Classifier) -> str:
    known = model.provenance
    return model.architecture.name if known is None else known.full_name(model.architecture)


def _widths(model: keras.Model, pruned: Pruned) -> tuple[Width, ...]:
    """Return the widths of the convolutions and dense layers that lost filters."""
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return tuple(
        Width(step.name, width, width - len(pruned.removed[step.name]))
        for step in graph(model).steps
        if isinstance(step.operation, kinds) and step.name in pruned.removed
        for width in (step.operation.kernel.shape[-1],)
    )


class _Network:
    """A pruned model as accuracies are measured of it, with what it has of the original.

    Args:
        original: The classifier that it was made of.
        pruned: The smaller model.
    """

    def __init__(self, original: Classifier, pruned: keras.Model) -> None:
        self.labels: Any = original.labels
        self.data_format: Any = original.data_format
        self.preprocessing: Any = original.preprocessing
        self.architecture: Any = original.architecture
        self.provenance: Any = None
        self._model = pruned

    def __call__(self, images: Any, /, *, training: bool = False) -> Any:
        """Return the logits of preprocessed images."""
        return self._model(images, training=training)
