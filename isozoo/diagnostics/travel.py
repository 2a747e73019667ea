"""How far training moved the kernels of a network from where they began."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np

from isozoo.diagnostics.ahead import steps_done
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.showing import figure, number, table
from isozoo.diagnostics.surface import Arrays, apart, norm, weight_bytes
from isozoo.diagnostics.weighted import Weighted, chosen_layers
from isozoo.errors import DiagnosticsError
from isozoo.training.checkpoint import values_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Distances(Result):
    r"""The distance of each layer's kernel from its start, $\lVert W_0 - W \rVert_2$.

    Args:
        model: What was measured.
        layers: Names of the layers that have kernels, in order of computation.
        steps: Training steps done when it was measured, `(steps,)`.
        distance: The distances, `(steps, layers)`.
        initial_norm: $\lVert W_0 \rVert_2$, `(layers,)`.
    """

    measure: ClassVar[str] = "distances"

    layers: tuple[str, ...]
    steps: np.ndarray
    distance: np.ndarray
    initial_norm: np.ndarray

    @property
    def relative(self) -> np.ndarray:
        """The distances by the norms at the start, `(steps, layers)`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.distance / self.initial_norm

    def table(self) -> Table:
        """Return a row for each layer, as it was last measured."""
        columns = ("DISTANCE", "INITIAL NORM", "RELATIVE")
        title = f"{self.model} after {self.steps[-1]} training steps"
        shown = table("LAYER", *columns, right=columns, title=title)
        rows = zip(
            self.layers, self.distance[-1], self.initial_norm, self.relative[-1], strict=True
        )
        for name, *values in rows:
            shown.add_row(name, *map(number, values))
        return shown

    def plot(self) -> Figure:
        """Return the distances of all layers, one line for each training step measured."""
        picture, ((axes,),) = figure()
        for step, line in zip(self.steps, self.distance, strict=True):
            axes.plot(line, marker="o", label=f"{step} steps")
        axes.set_xticks(range(len(self.layers)), self.layers, rotation=90, fontsize=7)
        axes.set_ylabel("distance from the start")
        axes.set_title(self.model, fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend()
        return picture


def joined(parts: Sequence[Distances]) -> Distances:
    """Return measurements at single steps as one of them all."""
    over_steps = ("steps", "distance")
    return dataclasses.replace(
        parts[0],
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in over_steps},
    )


def distances(
    model: keras.Model, initial: Arrays | keras.Model, *, label: str | None = None
) -> Distances:
    r"""Measure how far each kernel is from its start, $\lVert W_0 - W \rVert_2$.

    Args:
        model: The network.
        initial: The network at its start, or the values of its trainable weights then.
        label: What the model is called in tables; its name if None.

    Returns:
        The measurement, of one training step; of layers with several kernels, of all together.

    Raises:
        DiagnosticsError: The model has no graph, or the start is another network's.

    Reference:
        Santurkar et al., NeurIPS 2018, theorem 4.5, on the distance from a start to an optimum.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> found = distances(model, [v + 0.5 for v in values_of(model.trainable_variables)])
        >>> float(found.distance[0, 0] / np.sqrt(3 * 3 * 3 * 16))
        0.5
    """
    now = values_of(model.trainable_variables)
    given = isinstance(initial, Sequence)
    start = [*initial] if given else values_of(initial.trainable_variables)
    if [value.shape for value in start] != [value.shape for value in now]:
        raise DiagnosticsError(
            f"the start has {len(start)} weights of other shapes than the {len(now)} of "
            f"{model.name}; give the weights that this network began with"
        )
    layers = chosen_layers(model, None)
    return Distances(
        model=label or model.name,
        layers=tuple(layer.name for layer in layers),
        steps=np.array([steps_done(model)]),
        distance=np.array([[apart(_of(start, layer), _of(now, layer)) for layer in layers]]),
        initial_norm=np.array([norm(_of(start, layer)) for layer in layers]),
    )


def distances_cost(model: keras.Model) -> Cost:
    """Return what `distances` costs: copies of the weights, and no pass."""
    return Cost(f"{model.name} and its start", passes=0, batch=0, bytes=4 * weight_bytes(model))


def _of(values: Arrays, layer: Weighted) -> list[np.ndarray]:
    return [values[i] for i in layer.kernels]
