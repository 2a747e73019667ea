"""Filters that do nothing: dead ones, ones that are always on, and how much the others tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from isozoo.diagnostics import showing
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.floors import activation_of, channel_axis, unknown_activations
from isozoo.diagnostics.operators import image_shape
from isozoo.diagnostics.responses import REMEMBERED, Tally, batches_of, by_position
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.taps import graph, stream
from isozoo.errors import DiagnosticsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: An activation without a floor is dead if it varies by less than this share of its layer's range.
TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class LayerFilters:
    r"""What the filters of one activation did on a data set.

    Args:
        name: Path of the activation, or of the layer that it is a part of.
        kind: What it is, such as `"SReLU"` or `"relu"`.
        floor: What its outputs cannot fall below, one number per filter: the shifts of SReLU, zeros
            of ReLU; None if there is no floor, as with GELU or PReLU.
        minimum: Smallest output of each filter.
        maximum: Largest output of each filter.
        on: Share of positions at which a filter is above its floor, in [0, 1]; None without floor.
        entropy: Entropy in bits of each filter's mean response to an image, over `BINS` bins
            between its smallest and its largest; 0 for a response that is always the same, at most
            5.
        tolerance: Largest variation of a dead filter without floor, as a share of the layer's
            range.
    """

    name: str
    kind: str
    floor: np.ndarray | None
    minimum: np.ndarray
    maximum: np.ndarray
    on: np.ndarray | None
    entropy: np.ndarray
    tolerance: float

    @property
    def filters(self) -> int:
        """Number of filters."""
        return len(self.minimum)

    @property
    def dead(self) -> np.ndarray:
        """Which filters never left their floor; without one, which never changed."""
        if self.floor is not None:
            return self.maximum <= self.floor
        span = float((self.maximum.max() - self.minimum.min()) * self.tolerance)
        return self.maximum - self.minimum <= span

    @property
    def always_on(self) -> np.ndarray | None:
        """Which filters never touched their floor, so that they are linear; None without floor."""
        return None if self.floor is None else self.minimum > self.floor


@dataclasses.dataclass(frozen=True)
class FilterReport(Result):
    """What `filters` found.

    Args:
        model: What was measured.
        images: Number of images it was measured on.
        layers: The activations in the order of computation.
        unread: Activations that mix channels, so that no filter of theirs can be told, and what may
            be an activation of a kind that is not known, each with its kind.
    """

    measure = "filters"

    images: int
    layers: tuple[LayerFilters, ...]
    unread: tuple[str, ...]

    def layer(self, name: str) -> LayerFilters:
        """Return an activation's row by its name.

        Raises:
            DiagnosticsError: There is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise DiagnosticsError(
            f"asked for the filters of {name}, found those of "
            f"{', '.join(layer.name for layer in self.layers)}; give one of these"
        )

    @property
    def dead(self) -> dict[str, tuple[int, ...]]:
        """Indices of the dead filters of each activation that has any."""
        found = {row.name: tuple(map(int, np.flatnonzero(row.dead))) for row in self.layers}
        return {name: indices for name, indices in found.items() if indices}

    def table(self) -> Table:
        """Return a row for each activation, and one for the whole network."""
        columns = ("FILTERS", "DEAD", "ALWAYS ON", "ON", "ENTROPY MIN", "MEDIAN", "MAX")
        title = f"filters of {self.model} on {self.images:,} images"
        found = showing.table("LAYER", "KIND", *columns, right=columns, title=title)
        for row in self.layers:
            found.add_row(row.name, row.kind, *_cells((row,)))
        for name in self.unread:
            found.add_row(name, "not read")
        if self.layers:
            found.add_row("all", "", *_cells(self.layers))
        return found

    def plot(self) -> Figure:
        """Return two pictures over depth: the shares of dead filters and so on, and the entropy."""
        figure, panels = showing.figure(columns=2)
        shares, entropies = panels[0]
        depth = np.arange(1, len(self.layers) + 1)
        lines: dict[str, list[float]] = {
            "dead": [row.dead.mean() for row in self.layers],
            "always on": [_mean(row.always_on) for row in self.layers],
            "share of positions on": [_mean(row.on) for row in self.layers],
        }
        for name, values in lines.items():
            shares.plot(depth, values, marker=".", label=name)
        shares.set(xlabel="activation", ylabel="share of the filters", ylim=(-0.03, 1.03))
        shares.legend(fontsize=8)
        levels = (0, 25, 50, 75, 100)
        low, first, median, third, high = np.array(
            [np.percentile(row.entropy, levels) for row in self.layers]
        ).T
        entropies.fill_between(depth, low, high, alpha=0.2, linewidth=0, label="all filters")
        entropies.fill_between(depth, first, third, color="C0", alpha=0.4, label="half of them")
        entropies.plot(depth, median, color="C0", marker=".", label="median")
        entropies.set(xlabel="activation", ylabel="entropy of the response in bits", ylim=(0, None))
        entropies.legend(fontsize=8)
        for axes in panels[0]:
            axes.grid(alpha=0.3)
        figure.suptitle(f"{self.model}, {self.images:,} images", fontsize=10)
        return figure


def _mean(values: np.ndarray | None) -> float:
    return float("nan") if values is None else float(values.mean())


def _cells(rows: Iterable[LayerFilters]) -> list[str]:
    rows = list(rows)
    entropy = np.concatenate([row.entropy for row in rows])
    linear = [row.always_on for row in rows if row.always_on is not None]
    on = [row.on for row in rows if row.on is not None]
    return [
        f"{len(entropy):,}",
        f"{sum(int(row.dead.sum()) for row in rows):,}",
        f"{int(np.concatenate(linear).sum()):,}" if linear else "",
        f"{100 * np.concatenate(on).mean():.1f} %" if on else "",
        *(f"{value:.2f}" for value in np.percentile(entropy, (0, 50, 100))),
    ]


def filters(
    model: keras.Model,
    batches: Iterable[Any],
    label: str | None = None,
    tolerance: float = TOLERANCE,
) -> FilterReport:
    r"""Find which filters of a network do nothing, or always the same, on a data set.

    A filter is a channel of what an activation makes. It is dead if it never leaves its floor, that
    is 0 for ReLU and the learned shift $b$ for SReLU, and always on if it never touches it: then
    the activation does nothing to it. An activation without a floor, such as GELU, ELU or PReLU, is
    never off; its filter counts as dead if it hardly changes, within `tolerance`, and always on is
    not said of it. An activation that mixes channels, such as softmax, has no filters, and is named
    in the result like what may be an activation of another kind. In mixed precision the floor is
    compared as the layer computes with it, rounded like its outputs.

    The entropy is that of a filter's mean response to an image over the images: a filter of low
    entropy answers everything alike.

    Args:
        model: Any functional Keras model of images.
        batches: Preprocessed images, an array `(images, height, width, channels)` or an iterable
            of batches, each such an array or a pair of images and labels.
        label: What the network is called; the model's name if None.
        tolerance: For activations without floor: how much of the range of its layer a dead filter
            may vary by.

    Returns:
        A row for each activation.

    Raises:
        DiagnosticsError: The model is no graph of layers, it has no activations, or there are no
            images.

    Reference:
        Luo and Wu, "An Entropy-based Pruning Method for CNN Compression", 2017, for the entropy.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> found = filters(model, np.random.default_rng(0).normal(size=(2, 32, 32, 3)))
        >>> found.layer("backbone/stem_relu").filters, found.dead
        (16, {})
    """
    walked = graph(model)
    axis = channel_axis(walked)
    found = {step.name: each for step in walked.steps if (each := activation_of(step))}
    tallies = {name: Tally(each.floor) for name, each in found.items() if not each.mixes}
    unread = {name: each.kind for name, each in found.items() if each.mixes}
    unread |= unknown_activations(walked)
    if not tallies:
        raise DiagnosticsError(
            f"{model.name} has no activation whose filters could be told, such as ReLU or SReLU, "
            f"but {', '.join(_named(unread)) or 'none at all'}; give a network that has one as a "
            "layer"
        )
    images = 0
    for batch in showing.track(batches_of(batches), "filters"):
        images += len(batch)
        for step, _, output in stream(walked, batch, names=list(tallies)):
            tallies[step.name].add(by_position(output, axis), output.dtype)
    if not images:
        raise DiagnosticsError("filters were asked for on no images; give at least one batch")
    rows = tuple(_row(name, found[name].kind, tally, tolerance) for name, tally in tallies.items())
    return FilterReport(label or model.name, images, rows, _named(unread))


def _named(unread: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name} ({kind})" for name, kind in unread.items())


def _row(name: str, kind: str, tally: Tally, tolerance: float) -> LayerFilters:
    return LayerFilters(
        name=name,
        kind=kind,
        floor=tally.floor,
        minimum=tally.minimum,
        maximum=tally.maximum,
        on=tally.on,
        entropy=tally.entropy,
        tolerance=tolerance,
    )


def filters_cost(model: keras.Model, images: int, batch: int = 64) -> Cost:
    """Return what `filters` will cost: one pass over the data.

    Args:
        model: The model, of a fixed image size or with a preprocessing.
        images: Number of images.
        batch: Images in a batch.
    """
    walked = graph(model)
    image = np.zeros((1, *image_shape(model, None)), "float32")
    shapes = {step.name: tuple(output.shape) for step, _, output in stream(walked, image)}
    axis = channel_axis(walked)
    read = [shapes[step.name] for step in walked.steps if activation_of(step)]
    remembered = sum(shape[axis if len(shape) > 2 else -1] for shape in read)
    held = 4 * min(images, 2 * REMEMBERED) * remembered
    largest = 8 * batch * max(int(np.prod(shape)) for shape in shapes.values())
    return Cost("filters on a data set", -(-images // batch), batch, held + largest)
