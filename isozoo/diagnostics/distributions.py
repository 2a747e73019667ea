"""What the layers of a network are given: its distribution, once or over training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics.ahead import steps_done
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.showing import figure, number, table
from isozoo.diagnostics.surface import activation_bytes
from isozoo.diagnostics.taps import stream
from isozoo.diagnostics.weighted import chosen_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: Shares of the values that the quantiles lie above, by default.
LEVELS = (0.0, 0.01, *np.linspace(0.05, 0.95, 19).round(2).tolist(), 0.99, 1.0)
#: Heights that a ridge is drawn with.
_BINS = 80


@dataclasses.dataclass(frozen=True)
class Activations(Result):
    """The distribution of what each layer is given.

    Args:
        model: What was measured.
        layers: Names of the layers, in order of computation.
        levels: Shares of the values, ascending from 0 to 1, `(levels,)`.
        steps: Training steps done when it was measured, `(steps,)`.
        quantiles: Values above which the rest lies, `(steps, layers, levels)`.
        mean: Their means, `(steps, layers)`.
        deviation: Their standard deviations, `(steps, layers)`.
    """

    measure: ClassVar[str] = "activations"

    layers: tuple[str, ...]
    levels: np.ndarray
    steps: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def drift(self) -> np.ndarray:
        """How far the distribution moved from one measurement to the next, `(steps - 1, layers)`.

        The mean distance of the quantiles (Wasserstein's, of the levels that were measured), in
        standard deviations of before; NaN where there was none.
        """
        gaps = abs(np.diff(self.quantiles, axis=0))
        moved = np.trapezoid(gaps, self.levels, axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return moved / self.deviation[:-1]

    def table(self) -> Table:
        """Return a row for each layer, as it was last measured."""
        columns = ("MEAN", "DEVIATION", "1 %", "MEDIAN", "99 %")
        title = f"{self.model}: inputs of layers after {self.steps[-1]} training steps"
        shown = table("LAYER", *columns, right=columns, title=title)
        for i, name in enumerate(self.layers):
            parts = np.interp([0.01, 0.5, 0.99], self.levels, self.quantiles[-1, i])
            values = (self.mean[-1, i], self.deviation[-1, i], *parts)
            shown.add_row(name, *map(number, values))
        return shown

    def plot(self) -> Figure:
        """Return a panel for each layer, with one ridge for each training step."""
        columns = min(4, len(self.layers))
        picture, panels = figure(columns, -(-len(self.layers) // columns))
        flat = panels.ravel()
        for number_of, axes in enumerate(flat):
            if number_of < len(self.layers):
                self._ridges(axes, number_of)
            else:
                axes.set_axis_off()
        picture.suptitle(f"{self.model}: what layers are given, over training", fontsize=10)
        return picture

    def _ridges(self, axes: Any, layer: int) -> None:
        low, high = np.quantile(self.quantiles[:, layer], [0.02, 0.98])
        edges = np.linspace(low, max(high, low + 1e-12), _BINS + 1)
        for row in reversed(range(len(self.steps))):
            drawn = np.interp(np.linspace(0, 1, 2001), self.levels, self.quantiles[row, layer])
            heights, _ = np.histogram(drawn, edges)
            ridge = row + 1.6 * heights / max(heights.max(), 1)
            colour = f"C{row % 10}"
            axes.fill_between(edges[1:], row, ridge, color=colour, alpha=0.6, linewidth=0)
            axes.plot(edges[1:], ridge, color=colour, linewidth=0.8)
        axes.set_yticks(range(len(self.steps)), self.steps)
        axes.set_title(self.layers[layer], fontsize=10)


def joined(parts: Sequence[Activations]) -> Activations:
    """Return measurements at single steps as one of them all."""
    over_steps = ("steps", "quantiles", "mean", "deviation")
    return dataclasses.replace(
        parts[0],
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in over_steps},
    )


def activations(
    model: keras.Model,
    images: Any,
    *,
    layers: Sequence[str] | None = None,
    levels: Sequence[float] = LEVELS,
    training: bool = False,
    label: str | None = None,
) -> Activations:
    """Measure the distribution of what each layer is given.

    Over training this is internal covariate shift in the sense of Ioffe and Szegedy, "the change in
    the distribution of network activations due to the change in network parameters".

    Args:
        model: The network.
        images: A preprocessed batch `(batch, height, width, channels)`.
        layers: Names of the layers, which have kernels; all that do if None.
        levels: Shares of the values that the quantiles lie above, ascending from 0 to 1.
        training: Whether in training mode, with the statistics of the batch.
        label: What the model is called in tables; its name if None.

    Returns:
        The measurement, of one training step, over all images, positions and channels.

    Raises:
        UnknownNameError: There is no such layer.
        DiagnosticsError: The model has no graph.
        ValueError: The levels do not ascend from 0 to 1.

    Reference:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> found = activations(model, np.ones((2, 32, 32, 3)), levels=[0, 0.5, 1])
        >>> found.quantiles.shape, found.quantiles[0, 0].tolist()
        ((1, 8, 3), [1.0, 1.0, 1.0])
    """
    shares = list(map(float, levels))
    if len(shares) < 2 or (shares[0], shares[-1]) != (0.0, 1.0) or shares != sorted({*shares}):
        raise ValueError(f"levels must ascend from 0 to 1, got {shares}")
    names = [layer.name for layer in chosen_layers(model, layers)]
    found = {}
    for step, inputs, _ in stream(model, images, training, names):
        values = np.asarray(ops.convert_to_numpy(ops.cast(inputs[0], "float32")), np.float64)
        found[step.name] = (np.quantile(values, shares), values.mean(), values.std())
    quantiles, means, deviations = zip(*found.values(), strict=True)
    return Activations(
        model=label or model.name,
        layers=tuple(found),
        levels=np.array(shares),
        steps=np.array([steps_done(model)]),
        quantiles=np.array(quantiles)[None],
        mean=np.array(means)[None],
        deviation=np.array(deviations)[None],
    )


def activations_cost(model: keras.Model, images: Any) -> Cost:
    """Return what `activations` costs: one pass forward, and the sorting of what it makes.

    Args:
        model: The network.
        images: The batch, of which one image is computed.

    Raises:
        DiagnosticsError: The model has no graph.
    """
    return Cost(
        f"distributions of what {len(chosen_layers(model, None))} layers of {model.name} are given",
        passes=1,
        batch=len(images),
        bytes=activation_bytes(model, images),
    )
