"""Why a run failed: where its network loses signal or gradient, and which components change it.

What is said of a component is measured: the network is built anew with the component put in or
taken out, and norms, angles, gradients and propagation are measured at initialisation, on the same
images and with the same seed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isozoo.data import open_split
from isozoo.data.labels import labels_of
from isozoo.diagnostics import sentences, showing
from isozoo.diagnostics.checks import Checked, check
from isozoo.diagnostics.components import Variant, pairs_put_in, single_changes
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.isometry.flow import Isometry, isometry_cost
from isozoo.diagnostics.outcomes import Left, Outcome, left_by, outcome_of
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.sentences import Change
from isozoo.diagnostics.singular_spectra import spectra, spectra_cost
from isozoo.diagnostics.subject import Subject, draw, left_weights, seeded, untrained
from isozoo.files import atomic_write
from isozoo.models.classifier import Classifier

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: Most pairs of changes that are measured.
MOST_PAIRS = 10
AS_IT_IS = "as it is"


@dataclasses.dataclass(frozen=True)
class Explanation(Result):
    """Why a run failed, on one page.

    Args:
        model: The run.
        outcome: What became of it.
        images: Images that were measured.
        penalty: The orthogonality penalty in the first and the last epoch of the log, None if none
            was noted.
        distance: Root mean square distance of the convolutions to isometries, at initialisation and
            in the weights that the run left; None if it left none.
        checked: The network, and the variants that were measured.
        flows: Their norms and angles.
    """

    measure = "explanation"

    outcome: Outcome
    images: int
    penalty: Change | None
    distance: Change | None
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
            sentences.of_run(self.outcome),
            sentences.of_network(self.checked[0]),
            sentences.of_changes(self.checked),
            sentences.of_penalty(self.penalty, self.distance),
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


@seeded(0)
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
    left = left_by(Path(run))
    plan = left.plan
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
    found = [check(subject(v)) for v in showing.track(changes, "changes to the network")]
    if not any(checked.healthy for checked, _ in found):
        pairs = list(pairs_put_in(first.architecture))[:MOST_PAIRS]
        found += [check(subject(v)) for v in showing.track(pairs, "pairs of changes")]
    checked, flows = zip(*found, strict=True)
    return Explanation(
        plan.name,
        outcome_of(left, len(labels)),
        images,
        _penalty(left.log),
        _distance(Path(run), left, subject(first).model),
        checked,
        flows[0].beside(*flows[1:]),
    )


def explanation_cost(model: Classifier, images: Any) -> Cost:
    """Return what `explain` will cost at most, by the network as it is."""
    arch = model.architecture
    networks = 1 + len(single_changes(arch)) + min(MOST_PAIRS, len(list(pairs_put_in(arch))))
    one = isometry_cost(model, images)
    decomposed = spectra_cost(model, model.preprocessing.size)
    # Propagation carries a noise beside the signal. Spectra are of the start and of the end.
    passes = networks * (one.passes + 3) + 2 * -(-decomposed.passes // one.batch)
    most = max(one.bytes, decomposed.bytes)
    return Cost("networks with components put in or taken out", passes, one.batch, most)


def _penalty(log: Iterable[Mapping[str, Any]]) -> Change | None:
    values = [row["penalty"] for row in log if "penalty" in row]
    return Change(values[0], values[-1]) if values else None


def _distance(folder: Path, left: Left, start: Classifier) -> Change | None:
    """Return how far convolutions are from isometries at the start, and in what the run left."""
    end = left_weights(folder, left.plan, start.labels)
    if end is None:
        return None
    found = (spectra(m, start.preprocessing.size).networks[0].distance() for m in (start, end))
    first, last = found
    return None if first is None or last is None else Change(first, last)


def _cells(row: Checked) -> tuple[str, ...]:
    numbers = map(showing.number, (row.signal, row.gradient, row.angle, row.loss))
    return (*numbers, row.verdict)
