"""The singular values of every convolution of a network, over its depth."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from isozoo.diagnostics import showing
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.operators import Operator, operators, with_kernels
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.singular import CHUNK_BYTES, Convolution, Distance
from isozoo.diagnostics.taps import graph

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: The quantiles that are kept of a layer's singular values.
LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
#: Singular values below this share of the largest are those of lost dimensions, but for rounding.
LOST = 1e-12
#: The smallest singular value that a plot shows.
_LOWEST = 1e-3


@dataclasses.dataclass(frozen=True)
class LayerSpectrum:
    """The singular values of one convolution, in short.

    Args:
        name: Path of the layer; of a separable convolution with the part.
        kind: Class of the layer.
        kernel: Height, width, input channels per group and filters.
        size: Height and width of the periodic images that it is taken to work on.
        strides: Its strides.
        groups: Its groups of channels.
        constrained: Whether it is one of those that the paper constrains: a convolution, but not of
            raw images.
        quantiles: Those of the singular values at `LEVELS`.
        distance: How far A^T A is from the identity, see `Convolution.distance`.
        adjoint: How far A A^T is.
        nearest: How far that of the two is which has fewer dimensions.
    """

    name: str
    kind: str
    kernel: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    groups: int
    constrained: bool
    quantiles: np.ndarray
    distance: Distance
    adjoint: Distance
    nearest: Distance

    @property
    def minimum(self) -> float:
        """The smallest singular value."""
        return float(self.quantiles[0])

    @property
    def median(self) -> float:
        """The median of the singular values."""
        return float(self.quantiles[LEVELS.index(0.5)])

    @property
    def maximum(self) -> float:
        """The largest singular value, the operator's norm."""
        return float(self.quantiles[-1])

    @property
    def small(self) -> bool:
        """Whether the images have less than $2 k - 1$ pixels a side under a kernel of $k$.

        On such images taps wrap around to each other, so that the paper's penalty is not that of
        the distance, and at least three of four places see a border, where padding with zeros is
        another operator than the periodic one that is measured.
        """
        pairs = zip(self.size, self.kernel[:2], strict=True)
        return any(side < 2 * taps - 1 for side, taps in pairs if taps > 1)

    @property
    def condition(self) -> float:
        """The largest by the smallest singular value; infinite if a dimension is lost."""
        if self.minimum <= LOST * self.maximum:
            return float("inf")
        return self.maximum / self.minimum


@dataclasses.dataclass(frozen=True)
class NetworkSpectra:
    """The convolutions of one network, in the order of computation.

    Args:
        label: What the network is called.
        layers: Its convolutions and dense layers.
        unread: Layers with kernels of a kind that has no singular values here, with their class.
    """

    label: str
    layers: tuple[LayerSpectrum, ...]
    unread: tuple[str, ...]

    @property
    def constrained(self) -> tuple[LayerSpectrum, ...]:
        """The convolutions that the paper constrains."""
        return tuple(layer for layer in self.layers if layer.constrained)

    def distance(self, strided: bool = False) -> float | None:
        """Return the root mean square of `nearest.frobenius` over constrained convolutions.

        Args:
            strided: Whether of those with strides, or of those without. Apart, because the paper's
                penalty does not ask of a strided convolution that its operator be an isometry: a
                Delta kernel that doubles the channels is at 0.71.

        Returns:
            The distance; None if there is no such convolution.
        """
        asked = [layer for layer in self.constrained if (max(layer.strides) > 1) == strided]
        distances = np.array([layer.nearest.frobenius for layer in asked])
        return float(np.sqrt(np.square(distances).mean())) if asked else None


@dataclasses.dataclass(frozen=True)
class Spectra(Result):
    """What `spectra` measured of one network, or of several side by side.

    Args:
        model: What was measured.
        networks: Its convolutions; several networks after `beside`.
    """

    measure = "spectra"

    networks: tuple[NetworkSpectra, ...]

    def beside(self, *others: Spectra) -> Spectra:
        """Return these networks and others in one result: before and after, or a comparison."""
        found = [network for each in (self, *others) for network in each.networks]
        return Spectra(", ".join(network.label for network in found), tuple(found))

    def table(self) -> Table:
        """Return a row for each convolution, and one that names what could not be read."""
        numbers = ("MIN", "MEDIAN", "MAX", "CONDITION", "NORM", "RMS")
        found = showing.table(
            "NETWORK", "LAYER", "KERNEL", "ON", *numbers, right=numbers, title="singular values"
        )
        for network in self.networks:
            for layer in network.layers:
                found.add_row(
                    network.label,
                    layer.name,
                    "x".join(map(str, layer.kernel)),
                    "x".join(map(str, layer.size)) + ("*" if layer.small else ""),
                    *map(showing.number, (layer.minimum, layer.median, layer.maximum)),
                    *map(showing.number, (layer.condition, *layer.nearest)),
                )
            for name in network.unread:
                found.add_row(network.label, name, "not read")
        found.caption = (
            "NORM and RMS: distance of A A^T from the identity, or of A^T A where A has more "
            "outputs than inputs, in the spectral and in the normalised Frobenius norm; * so small "
            "that most places see a border, where padding with zeros is another operator"
        )
        found.caption_justify = "left"
        return found

    def plot(self) -> Figure:
        """Return the quantiles of the singular values over depth, a panel for each network."""
        figure, panels = showing.figure(columns=len(self.networks))
        every = [layer for network in self.networks for layer in network.layers]
        lowest = min((layer.minimum for layer in every), default=_LOWEST)
        highest = max((layer.maximum for layer in every), default=1.0)
        for axes, network in zip(panels[0], self.networks, strict=True):
            _draw(axes, network)
            axes.set_ylim(max(lowest, _LOWEST) * 0.8, highest * 1.3)
        if self.networks[0].layers:
            panels[0][0].legend(loc="lower left", fontsize=8)
        panels[0][0].set_ylabel("singular values")
        return figure


def _draw(axes: Any, network: NetworkSpectra) -> None:
    if network.layers:
        _draw_layers(axes, network)
    else:
        words = "\n".join(("no layer could be read", *network.unread))
        axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)
    axes.axhline(1.0, color="0.25", linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set(xlabel="layer", title=network.label)
    axes.grid(alpha=0.3)


def _draw_layers(axes: Any, network: NetworkSpectra) -> None:
    depth = np.arange(1, len(network.layers) + 1)
    quantiles = np.array([layer.quantiles for layer in network.layers]).T.clip(_LOWEST)
    half = len(LEVELS) // 2
    for i, alpha in enumerate((0.15, 0.25, 0.4)[:half]):
        low, high = LEVELS[i], LEVELS[-1 - i]
        label = f"{100 * low:.0f} to {100 * high:.0f} %"
        axes.fill_between(
            depth,
            quantiles[i],
            quantiles[-1 - i],
            color="C0",
            alpha=alpha,
            linewidth=0,
            label=label,
        )
    axes.plot(depth, quantiles[half], color="C0", marker=".", markersize=4, label="median")


def spectra(
    model: keras.Model, size: int | tuple[int, int] | None = None, label: str | None = None
) -> Spectra:
    """Measure the singular values of every convolution and dense layer of a network.

    Each is taken as a convolution of periodic images, whatever its padding, of as many outputs as
    the layer has in the network: the size is that of its output times its strides. Padding with
    zeros changes the operator along the borders only, which on small feature maps is nearly all
    (`LayerSpectrum.small`): give images as large as the network is for. A dense layer is a 1x1
    convolution. One kernel at a time is held in float64.

    Args:
        model: Any functional Keras model of images.
        size: Height and width of the images in pixels, where the model does not fix them.
        label: What the network is called; the model's name if None.

    Returns:
        Quantiles, condition and distances to isometry of each layer, in the order of computation.

    Raises:
        DiagnosticsError: The model is no graph of layers, or takes images of any size and none was
            given.

    Reference:
        Sedghi, Gupta and Long, "The Singular Values of Convolutional Layers", ICLR 2019.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> found = spectra(Classifier(architecture("isonet-8", classes=2)))
        >>> found.networks[0].distance() < 1e-6  # isometric at the start
        True
    """
    label = label or model.name
    layers, unread = [], []
    # A separable convolution counts once, though it is two operators.
    total = len(with_kernels(graph(model)))
    for operator in showing.track(operators(model, size), "singular values", total):
        if operator.convolution is None:
            unread.append(f"{operator.name} ({operator.kind})")
        else:
            layers.append(_spectrum(operator, operator.convolution))
    return Spectra(label, (NetworkSpectra(label, tuple(layers), tuple(unread)),))


def spectra_cost(model: keras.Model, size: int | tuple[int, int] | None = None) -> Cost:
    """Return what `spectra` will cost: decompositions counted as forward passes of one image."""
    forward, decompose, largest = 1.0, 0.0, 0
    for conv in (operator.convolution for operator in operators(model, size)):
        if conv is None:
            continue
        outputs = conv.outputs / conv.filters
        rows, columns = sorted((conv.inputs / outputs, conv.filters))
        forward += outputs * conv.kernel.size
        taps = conv.kernel.shape[0] * conv.kernel.shape[1]
        frequencies = 1 if taps == 1 else outputs / 2
        # Of a complex matrix: about 4 n m^2 for its bidiagonal form, four real products for each.
        decompose += 16 * frequencies * rows**2 * columns / conv.groups**2
        largest = max(largest, _bytes(conv))
    return Cost(
        "singular values of every convolution", 1 + round(decompose / forward), 1, round(largest)
    )


def _bytes(conv: Convolution) -> int:
    """Return the most memory that a convolution's singular values take, with its kernel."""
    kernel, values = 8 * conv.kernel.size, 8 * min(conv.inputs, conv.outputs)
    if conv.kernel.shape[0] == conv.kernel.shape[1] == 1:
        # The kernel, and LAPACK's copy of it.
        matrices = 2 * kernel
    else:
        one = 16 * conv.strides[0] * conv.strides[1] * conv.kernel[0, 0].size
        frequencies = conv.outputs / conv.filters
        # The waves' products, their form that is handed out, and LAPACK's.
        matrices = 3 * max(one, min(CHUNK_BYTES, one * frequencies))
    # The values are sorted, and squared for the distances.
    return round(kernel + matrices + 3 * values)


def _spectrum(operator: Operator, conv: Convolution) -> LayerSpectrum:
    values = conv.singular_values()
    return LayerSpectrum(
        name=operator.name,
        kind=operator.kind,
        kernel=conv.kernel.shape,
        size=conv.size,
        strides=conv.strides,
        groups=conv.groups,
        constrained=operator.constrained,
        quantiles=np.quantile(values, LEVELS),
        distance=conv.distance(values),
        adjoint=conv.adjoint_distance(values),
        nearest=conv.nearest_distance(values),
    )
