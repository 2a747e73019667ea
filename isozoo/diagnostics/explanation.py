"""Why a run failed: where its network loses signal or gradient, and which components change it.

What is said of a component is measured: the network is built anew with the component put in or
taken out, and norms, angles, gradients and propagation are measured at initialisation, on the same
images and with the same seed.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isozoo.data import open_split
from isozoo.data.labels import labels_of
from isozoo.diagnostics import showing
from isozoo.diagnostics.components import Variant, pairs_put_in, single_changes
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.isometry.flow import Isometry, NetworkFlow, isometry_cost, measure_isometry
from isozoo.diagnostics.propagation.models import model_propagation
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.subject import Subject, draw, untrained
from isozoo.errors import DiagnosticsError
from isozoo.files import atomic_write
from isozoo.models.manifest import LOG, RECIPE
from isozoo.models.provenance import read_log
from isozoo.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: A run has stalled if its accuracy on the training images stayed below this many times guessing.
STALLED = 1.5
#: Factor by which the norm of a signal or gradient may change from end to end.
HEALTHY_GAIN = 1e3
#: Most variants that are measured beside the network itself.
MOST_PAIRS = 10
AS_IT_IS = "as it is"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a run, from what it left behind.

    Args:
        state: `"diverged"`, `"stalled"`, `"learned"` or `"unknown"`.
        text: The reason for that, in words.
        epochs: Epochs in its log.
        planned: Epochs of its recipe.
    """

    state: str
    text: str
    epochs: int
    planned: int


@dataclasses.dataclass(frozen=True)
class Checked:
    """A network at initialisation.

    Args:
        name: What is different about it, or `"as it is"`.
        loss: The loss of the images.
        signal: Norm of the last feature map by that of the images.
        gradient: Norm of the gradient at the first cut by that at the last feature map.
        angle: Mean angle between two images' last feature maps, in degrees.
        verdict: What propagation says.
        place: First cut where signal or gradient is off by more than `HEALTHY_GAIN`; empty if none.
        healthy: Whether there is nothing wrong.
    """

    name: str
    loss: float
    signal: float
    gradient: float
    angle: float
    verdict: str
    place: str
    healthy: bool


@dataclasses.dataclass(frozen=True)
class Explanation(Result):
    """Why a run failed, on one page.

    Args:
        model: The run.
        outcome: What became of it.
        images: Images that were measured.
        penalty: The orthogonality penalty in the first and the last epoch of the log, None if none
            was noted.
        checked: The network, and the variants that were measured.
        flows: Their norms and angles.
    """

    measure = "explanation"

    outcome: Outcome
    images: int
    penalty: tuple[float, float] | None
    checked: tuple[Checked, ...]
    flows: Isometry

    @property
    def helpful(self) -> tuple[Checked, ...]:
        """The variants that are healthy at initialisation."""
        return tuple(variant for variant in self.checked[1:] if variant.healthy)

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        return [
            f"The run {self.outcome.state}: {self.outcome.text}.",
            _said_of(self.checked[0]),
            _said_of_changes(self.checked),
            _said_of_penalty(self.penalty),
        ]

    def table(self) -> Table:
        """Return a row for the network and each variant, under what was found."""
        found = showing.table(
            "AT INITIALISATION", "SIGNAL", "GRADIENT", "ANGLE", "LOSS", "VERDICT",
            right=("SIGNAL", "GRADIENT", "ANGLE", "LOSS"),
            title="\n".join([self.model, *self.sentences, ""]),
        )  # fmt: skip
        for row in self.checked:
            found.add_row(row.name, *_cells(row))
        found.caption = _LEGEND
        found.caption_justify = "left"
        return found

    def markdown(self) -> str:
        """Return the page."""
        head = "| at initialisation | signal | gradient | angle | loss | verdict |"
        rows = [f"| {' | '.join((row.name, *_cells(row)))} |" for row in self.checked]
        lines = ["\n".join([head, "| --- | ---: | ---: | ---: | ---: | --- |", *rows])]
        picture = f"![norms and angles over depth]({self.measure}.png)"
        return "\n\n".join([f"# {self.model}", *self.sentences, *lines, _LEGEND, picture]) + "\n"

    def plot(self) -> Figure:
        """Return norms and angles over depth, a line for each network.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        return self.flows.plot()

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write `explanation.json`, `explanation.png` and the page, `explanation.md`."""
        written = super().save(folder)
        page = Path(folder) / f"{self.measure}.md"
        atomic_write(page, self.markdown())
        return [*written, page]


_LEGEND = (
    "SIGNAL: norm of the last feature map by the image's. GRADIENT: its norm at the first cut "
    "by that at the last feature map. ANGLE: between two images' last feature maps, in degrees."
)


def explain(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    split: str = "val",
    images: int = 16,
    seed: int = 0,
) -> Explanation:
    """Explain why a run diverged or stalled, by its network at initialisation and changes to it.

    The network is measured as it was built, with each component of
    `isozoo.diagnostics.components.COMPONENTS` put in or taken out, and, if none of these changes
    is healthy, with pairs of components put in.

    Args:
        run: The run's folder.
        data: Its data set, as `isozoo.data.open_split` takes it.
        split: Split that images are drawn from.
        images: How many, at least two.
        seed: Of the draw.

    Returns:
        The page.

    Raises:
        DiagnosticsError: The folder holds no recipe.
        DataError: The data set has too few images.
        RecipeError: The recipe cannot be read.
    """
    plan, log = _left_by(Path(run))
    samples = open_split(data, split)
    labels = labels_of(samples.classes)
    chosen = draw(samples, images, seed)
    first = Variant(AS_IT_IS, plan.architecture(len(labels)))
    pictures = [samples.image(number) for number in chosen]

    def subject(variant: Variant) -> Subject:
        model = untrained(variant.architecture, labels, plan.preparation(), plan.seed)
        batch = model.preprocess(pictures)
        return Subject(variant.name, model, batch, samples.labels[chosen], fresh=True)

    changes = [first, *single_changes(first.architecture)]
    found = [_check(subject(v)) for v in showing.track(changes, "changes to the network")]
    if not any(checked.healthy for checked, _ in found):
        pairs = list(pairs_put_in(first.architecture))[:MOST_PAIRS]
        found += [_check(subject(v)) for v in showing.track(pairs, "pairs of changes")]
    checked, flows = zip(*found, strict=True)
    return Explanation(
        plan.name,
        outcome_of(plan, log, len(labels), (Path(run) / plan.name).is_dir()),
        images,
        _penalty(log),
        checked,
        flows[0].beside(*flows[1:]),
    )


def explanation_cost(subject: Subject) -> Cost:
    """Return what `explain` will cost at most, by the network as it is."""
    arch = subject.model.architecture
    networks = 1 + len(single_changes(arch)) + min(MOST_PAIRS, len(list(pairs_put_in(arch))))
    one = isometry_cost(subject.model, subject.images)
    # Propagation carries a noise beside the signal.
    passes = networks * (one.passes + 3)
    return Cost("networks with components put in or taken out", passes, one.batch, one.bytes)


def outcome_of(
    plan: Recipe, log: Sequence[Mapping[str, Any]], classes: int, finished: bool
) -> Outcome:
    """Return what became of a run, from its log.

    Args:
        plan: Its recipe.
        log: One record for each finished epoch.
        classes: Number of classes.
        finished: Whether it left its weights folder.

    Example:
        >>> plan = Recipe.from_dict({
        ...     "tag": "demo", "model": {"name": "r-isonet-8"},
        ...     "phases": [{"epochs": 2, "size": 32}],
        ... })
        >>> outcome_of(plan, [{"accuracy": 0.1, "loss": 2.3}] * 2, 10, finished=True).state
        'stalled'
    """
    epochs, planned = len(log), plan.epochs
    losses = [row["loss"] for row in log if "loss" in row]
    rollbacks = [told for row in log for told in row.get("rollbacks", ())]
    if not finished and (rollbacks or not all(map(math.isfinite, losses)) or not log):
        why = rollbacks[-1] if rollbacks else "it left no weights"
        text = f"it ended after {epochs} of {planned} epochs, and {why}"
        return Outcome("diverged", text, epochs, planned)
    best = max((row["accuracy"] for row in log if "accuracy" in row), default=None)
    if best is None:
        return Outcome("unknown", "its log tells no accuracy", epochs, planned)
    text = (
        f"its best accuracy on training images was {100 * best:.1f} %, where guessing has "
        f"{100 / classes:.1f} %, after {epochs} of {planned} epochs"
    )
    state = "stalled" if best < STALLED / classes else "learned"
    return Outcome(state, text, epochs, planned)


def _left_by(folder: Path) -> tuple[Recipe, list[dict[str, Any]]]:
    if not (folder / RECIPE).is_file():
        raise DiagnosticsError(
            f"{folder} has no {RECIPE}, so it is not known which network it trained; give the "
            "folder that `train` made inside of --out"
        )
    log = folder / LOG
    return Recipe.read(folder / RECIPE), read_log(log) if log.is_file() else []


def _penalty(log: Iterable[Mapping[str, Any]]) -> tuple[float, float] | None:
    values = [row["penalty"] for row in log if "penalty" in row]
    return (values[0], values[-1]) if values else None


def _check(subject: Subject) -> tuple[Checked, Isometry]:
    """Measure a network at initialisation."""
    batch, labels = subject.images, subject.labels
    flows = measure_isometry(subject.model, batch, labels, training=True, label=subject.label)
    (flow,) = flows.networks
    with np.errstate(all="ignore"):
        propagation = model_propagation(subject.model, batch, repeats=1, training=True)
    end = _last_map(flow)
    signals = flow.signals.norms / flow.signals.norms[0]
    gradients = flow.gradients.norms / flow.gradients.norms[end]
    place = _first_bad(flow, signals[: end + 1], gradients[1 : end + 1])
    checked = Checked(
        subject.label,
        _loss(subject),
        float(signals[end]),
        float(gradients[1]),
        float(flow.signals.angles[end]),
        propagation.verdict,
        place,
        not place and propagation.verdict == "well-behaved",
    )
    return checked, flows


def _last_map(flow: NetworkFlow) -> int:
    return max(number for number, name in enumerate(flow.cuts) if not name.startswith("head/"))


def _first_bad(flow: NetworkFlow, signals: np.ndarray, gradients: np.ndarray) -> str:
    """Return the first cut on the signal's way, or on the gradient's, that is off."""
    bad = np.flatnonzero(~_fine(signals))
    if len(bad):
        return flow.cuts[bad[0]]
    bad = np.flatnonzero(~_fine(gradients))
    return flow.cuts[bad[-1] + 1] if len(bad) else ""


def _fine(gains: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (gains < HEALTHY_GAIN) & (gains > 1 / HEALTHY_GAIN)


def _loss(subject: Subject) -> float:
    import keras

    logits = subject.model(subject.images, training=False)
    lost = keras.losses.sparse_categorical_crossentropy(subject.labels, logits, from_logits=True)
    return float(keras.ops.mean(lost))


def _cells(row: Checked) -> tuple[str, ...]:
    numbers = map(showing.number, (row.signal, row.gradient, row.angle, row.loss))
    return (*numbers, row.verdict)


def _said_of(network: Checked) -> str:
    if network.healthy:
        return (
            "At initialisation nothing is wrong with the network: neither signal nor gradient "
            "dies or explodes. Look at the learning rate, the warm-up and the data."
        )
    away = {
        "dies": min(network.signal, network.gradient) < 1 / HEALTHY_GAIN,
        "explodes": max(network.signal, network.gradient) > HEALTHY_GAIN,
    }
    words = [word for word, holds in away.items() if holds]
    what = "signal" if not HEALTHY_GAIN > network.signal > 1 / HEALTHY_GAIN else "gradient"
    where = f"The {what} {' and '.join(words)}, from {network.place} on" if network.place else ""
    verdict = "" if network.verdict == "well-behaved" else f"the verdict is {network.verdict}"
    said = "; ".join(part for part in (where, verdict) if part)
    return (
        f"At initialisation: {said}. Two images are {network.angle:.3g} degrees apart at its end."
    )


def _said_of_changes(checked: Sequence[Checked]) -> str:
    before, *changes = checked
    if before.healthy:
        worse = [change.name for change in changes if not change.healthy]
        return f"Worse would be: {', '.join(worse) or 'none of the changes'}."
    better = [change.name for change in changes if change.healthy]
    if better:
        return f"Well-behaved at initialisation is the network {', or '.join(better)}."
    return "None of the changes that were measured makes the network well-behaved."


def _said_of_penalty(penalty: tuple[float, float] | None) -> str:
    if penalty is None:
        return "The log says nothing of the orthogonality penalty."
    return (
        f"The orthogonality penalty went from {penalty[0]:.4g} to {penalty[1]:.4g} in the log; it "
        "works during training, so nothing can be seen of it at initialisation."
    )
