"""What was measured on the way along a gradient, and the ways to go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from isozoo.diagnostics.result import Result
from isozoo.diagnostics.showing import figure, number, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


class Variant(NamedTuple):
    """A way to measure.

    Args:
        about: What it is, in words.
        scales: The $s$, by default.
        ahead: Whether the walk begins where the optimiser's next step leads, though along the
            gradient of before it.
        inference: Whether losses and gradients on the walk are those of inference, though the
            gradient it follows is that of training.
        divided: Whether beta is divided by the distance walked.
    """

    about: str
    scales: tuple[float, ...]
    ahead: bool
    inference: bool
    divided: bool


#: The ways to measure. The notebook's differs from the paper's definitions in everything that has a
#: column here: it copies the network after the optimiser's step and walks from there along the
#: gradient of before the step; it walks with the running statistics of batch normalisation, where
#: the gradient was taken with the batch's; it calls smoothness the largest difference of gradients,
#: without the distance; and of its range `0.5, 2.5, ...` the end, 20, is exclusive, so that it goes
#: to 18.5 times the learning rate, 0.6475, where 0.7 is stated.
VARIANTS: Mapping[str, Variant] = {
    "exact": Variant(
        "the same weights and mode throughout, the distance in the denominator",
        tuple(np.arange(0.5, 4.2, 0.3).tolist()),
        ahead=False,
        inference=False,
        divided=True,
    ),
    "notebook": Variant(
        "from the weights after the optimiser's step, in inference mode, not divided",
        tuple(np.arange(0.5, 20.0, 2.0).tolist()),
        ahead=True,
        inference=True,
        divided=False,
    ),
}


@dataclasses.dataclass(frozen=True)
class Smoothness(Result):
    r"""The loss and its gradient along the gradient, at one training step or several.

    Args:
        model: What was measured.
        variant: Key of `VARIANTS`.
        training: Whether the gradient that is followed was taken in training mode.
        scales: The $s$, `(scales,)`.
        steps: Training steps done when it was measured, `(steps,)`.
        learning_rate: $\eta$ then, `(steps,)`.
        loss: Loss at the gradient that is followed, `(steps,)`.
        gradient_norm: $\lVert g \rVert_2$, `(steps,)`.
        losses: Loss on the walk, `(steps, scales)`.
        differences: $\lVert \nabla L(w - \eta s g) - g \rVert_2$, `(steps, scales)`.
    """

    measure: ClassVar[str] = "smoothness"

    variant: str
    training: bool
    scales: np.ndarray
    steps: np.ndarray
    learning_rate: np.ndarray
    loss: np.ndarray
    gradient_norm: np.ndarray
    losses: np.ndarray
    differences: np.ndarray

    @property
    def distances(self) -> np.ndarray:
        r"""$\eta s \lVert g \rVert_2$, `(steps, scales)`."""
        return np.outer(self.learning_rate * self.gradient_norm, self.scales)

    @property
    def loss_range(self) -> np.ndarray:
        """Smallest and largest loss on the walk, `(steps, 2)`."""
        return _range(self.losses)

    @property
    def predictiveness(self) -> np.ndarray:
        """Smallest and largest difference of gradients on the walk, `(steps, 2)`."""
        return _range(self.differences)

    @property
    def ratios(self) -> np.ndarray:
        """What beta is the largest of: difference by distance, or by the variant the difference."""
        if not VARIANTS[self.variant].divided:
            return self.differences
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.differences / self.distances

    @property
    def beta(self) -> np.ndarray:
        """Effective beta-smoothness, `(steps,)`; NaN where the gradient is zero."""
        return self.ratios.max(axis=1)

    def table(self) -> Table:
        """Return a row for each training step."""
        columns = ("STEP", "LOSS", "LOSS ON THE WALK", "DIFFERENCE OF GRADIENTS", "BETA")
        title = f"{self.model}: {VARIANTS[self.variant].about}"
        shown = table(*columns, right=columns, title=title)
        rows = zip(
            self.steps, self.loss, self.loss_range, self.predictiveness, self.beta, strict=True
        )
        for step, loss, losses, differences, beta in rows:
            ranges = [" to ".join(map(number, pair)) for pair in (losses, differences)]
            shown.add_row(str(step), number(loss), *ranges, number(beta))
        return shown

    def plot(self) -> Figure:
        """Return three panels: over the walk if measured once, over training otherwise."""
        picture, ((losses, differences, beta),) = figure(3)
        if len(self.steps) == 1:
            for axes, values in (
                (losses, self.losses), (differences, self.differences), (beta, self.ratios)
            ):  # fmt: skip
                axes.plot(self.distances[0], values[0], marker=".")
                axes.set_xlabel("distance along the gradient")
        else:
            draw_ranges(losses, self.steps, self.loss_range, self.model)
            draw_ranges(differences, self.steps, self.predictiveness, self.model)
            beta.plot(self.steps, self.beta, marker=".")
            beta.set_xlabel("training step")
        name_panels(losses, differences, beta)
        picture.suptitle(f"{self.model}, {self.variant}", fontsize=10)
        return picture


def name_panels(losses: Any, differences: Any, beta: Any) -> None:
    """Give the panels of the three measures their names."""
    titles = ("loss range", "gradient predictiveness", "effective beta-smoothness")
    for axes, title in zip((losses, differences, beta), titles, strict=True):
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)


def draw_ranges(axes: Any, steps: np.ndarray, ranges: np.ndarray, label: str) -> None:
    """Draw a band between the smallest and the largest value of each step."""
    (line,) = axes.plot(steps, ranges.mean(axis=1), linewidth=1)
    axes.fill_between(steps, *ranges.T, alpha=0.35, color=line.get_color(), label=label)
    axes.set_xlabel("training step")


def joined(parts: Sequence[Smoothness]) -> Smoothness:
    """Return measurements at single steps as one of them all."""
    over_steps = ("steps", "learning_rate", "loss", "gradient_norm", "losses", "differences")
    return dataclasses.replace(
        parts[0],
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in over_steps},
    )


def _range(values: np.ndarray) -> np.ndarray:
    return np.stack([values.min(axis=1), values.max(axis=1)], axis=1)
