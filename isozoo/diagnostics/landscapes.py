"""The loss around a network's weights, in two random directions, as Li et al. draw it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np

from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.showing import figure, number, table, track
from isozoo.diagnostics.surface import (
    Arrays,
    Loss,
    LossSurface,
    activation_bytes,
    norm,
    weight_bytes,
)
from isozoo.errors import DiagnosticsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: Images computed at once, by default.
BATCH = 64
_KERAS = keras.layers
#: Which axes of the weights of layers count outputs, each of which has a filter of its own. Weights
#: without any stay where they are.
FILTERS: Mapping[tuple[type, ...], Mapping[str, tuple[int, ...]]] = {
    (_KERAS.Dense, _KERAS.Conv1D, _KERAS.Conv2D, _KERAS.Conv3D): {"kernel": (-1,)},
    (_KERAS.Conv1DTranspose, _KERAS.Conv2DTranspose, _KERAS.Conv3DTranspose): {"kernel": (-2,)},
    (_KERAS.DepthwiseConv1D, _KERAS.DepthwiseConv2D): {"kernel": (-2, -1)},
    (_KERAS.SeparableConv1D, _KERAS.SeparableConv2D): {
        "depthwise_kernel": (-2, -1), "pointwise_kernel": (-1,)
    },
    (_KERAS.PReLU,): {"alpha": ()},
    (_KERAS.LayerNormalization,): {"gamma": (), "beta": ()},
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Landscape(Result):
    r"""The loss at $w + a\,d_1 + b\,d_2$.

    Args:
        model: What was measured.
        seed: Of the directions.
        images: How many images the loss is the mean of.
        training: Whether in training mode.
        places: The $a$ and the $b$, `(points,)`.
        losses: The losses, `(points, points)`: rows by $b$, columns by $a$.
        cosine: Of the angle between $d_1$ and $d_2$, which are not made orthogonal.
    """

    measure: ClassVar[str] = "landscape"

    seed: int
    images: int
    training: bool
    places: np.ndarray
    losses: np.ndarray
    cosine: float

    @property
    def centre(self) -> float:
        """The loss of the network itself."""
        middle = len(self.places) // 2
        return float(self.losses[middle, middle])

    def rise(self, radius: float) -> float:
        """Return the mean loss at some distance from the centre, less that of the centre.

        Args:
            radius: The distance, at least one of `places`; the nearest points are taken.
        """
        return float(self.losses[self.ring(radius)].mean()) - self.centre

    def ring(self, radius: float) -> np.ndarray:
        """Return which points are nearer to a distance than half the way between points."""
        away = np.hypot(*np.meshgrid(self.places, self.places))
        half = (self.places[1] - self.places[0]) / 2
        # Of points that are just there, the last bit would choose some.
        return abs(away - radius) <= half * (1 + 1e-6)

    def table(self) -> Table:
        """Return the loss at the centre and around it."""
        columns = ("DISTANCE", "MEAN LOSS", "RISE")
        title = f"{self.model}: loss of {self.images} images, seed {self.seed}"
        shown = table(*columns, right=columns, title=title)
        half = len(self.places) // 2
        for radius in [self.places[half], *self.places[half + 1 :]]:
            rise = self.rise(radius)
            shown.add_row(number(radius), number(self.centre + rise), number(rise))
        return shown

    def plot(self) -> Figure:
        """Return the contours."""
        picture, ((axes,),) = figure()
        draw(picture, axes, self)
        return picture


def draw(picture: Any, axes: Any, found: Landscape) -> None:
    """Draw the contours of a landscape into a panel, at levels that are as far apart as factors."""
    # What overflowed is higher than all that is drawn.
    finite = found.losses[np.isfinite(found.losses)]
    top = max(float(finite.max()), found.centre * 1.001 + 1e-12)
    bottom = max(float(finite.min()), 1e-6 * top)
    levels = np.geomspace(bottom, top, 24)
    losses = np.where(np.isfinite(found.losses), found.losses, np.nan).clip(bottom, top)
    drawn = axes.contourf(found.places, found.places, losses, levels, cmap="viridis")
    axes.contour(found.places, found.places, losses, levels, colors="white", linewidths=0.4)
    axes.plot(0, 0, "+", color="red")
    axes.set(aspect="equal", xlabel="direction 1", ylabel="direction 2")
    axes.set_title(f"{found.model}: loss around {number(found.centre)}", fontsize=10)
    picture.colorbar(drawn, ax=axes, format="%.3g")


def filter_normalised(model: keras.Model, random: np.random.Generator) -> list[np.ndarray]:
    r"""Return a random direction in which each filter is as long as that of the network.

    $$d_{ij} \leftarrow \frac{d_{ij}}{\lVert d_{ij} \rVert} \lVert w_{ij} \rVert$$

    for filter $j$ of layer $i$. As in the authors' drawings, biases and the scales and shifts of
    normalisations (all weights of one axis or none) do not move.

    Args:
        model: The network.
        random: Draws the normal numbers.

    Returns:
        One array for each trainable weight. A filter is what makes one output, see `FILTERS`.

    Raises:
        DiagnosticsError: A weight of two axes or more is none of `FILTERS`.
    """
    outputs = _output_axes(model)
    found = []
    for variable in model.trainable_variables:
        value = np.asarray(keras.ops.convert_to_numpy(variable), np.float64)
        drawn = random.standard_normal(value.shape)
        if not outputs.get(id(variable)):
            found.append(np.zeros_like(value))
            continue
        kept = [axis % value.ndim for axis in outputs[id(variable)]]
        axes = tuple(axis for axis in range(value.ndim) if axis not in kept)
        lengths = np.sqrt((drawn**2).sum(axes, keepdims=True))
        found.append(drawn / lengths * np.sqrt((value**2).sum(axes, keepdims=True)))
    return found


def landscape(
    model: keras.Model,
    images: Any,
    labels: Any,
    *,
    extent: float = 1.0,
    points: int = 25,
    seed: int = 0,
    training: bool = False,
    loss: Loss | None = None,
    penalties: bool = False,
    batch_size: int = BATCH,
    label: str | None = None,
) -> Landscape:
    r"""Compute the loss on a square around the network's weights.

    $$L(w + a\,d_1 + b\,d_2), \qquad a, b \in [-\text{extent}, \text{extent}]$$

    with two random directions, see `filter_normalised`. This is another measure than `smoothness`,
    which goes along the gradient only. The model is never changed.

    Args:
        model: The network.
        images: Preprocessed images `(batch, height, width, channels)`.
        labels: What the loss compares with: classes `(batch,)` or probabilities `(batch, classes)`.
        extent: Farthest $a$ and $b$; at 1 a direction is as long as the weights.
        points: Values of $a$ and of $b$, odd, so that one is 0.
        seed: Of the directions.
        training: Whether in training mode; then each batch has its own statistics.
        loss: Of labels and what the model returns; cross-entropy of logits if None.
        penalties: Whether what layers add to the loss counts, such as the orthogonality penalty.
        batch_size: Images computed at once, which bounds the memory.
        label: What the model is called in tables; its name if None.

    Returns:
        The losses.

    Raises:
        ValueError: `extent` is not positive, `points` even or below 3, or `batch_size` below 1.
        DiagnosticsError: A weight of two axes or more is none of `FILTERS`.

    Reference:
        Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> found = landscape(model, np.zeros((4, 32, 32, 3)), np.arange(4) % 2, points=3)
        >>> found.losses.shape, found.places.tolist()
        ((3, 3), [-1.0, 0.0, 1.0])
    """
    _check(extent, points, batch_size)
    random = np.random.default_rng(seed)
    one, other = (filter_normalised(model, random) for _ in range(2))
    surfaces = [
        (len(part), LossSurface(model, part, answers, loss=loss, training=training,
                                penalties=penalties))
        for part, answers in _batches(images, labels, batch_size)
    ]  # fmt: skip
    centre = surfaces[0][1].values()
    places = np.linspace(-extent, extent, points)
    grid = list(itertools.product(places, repeat=2))
    losses = [
        _mean_loss(surfaces, [
            (w + a * d + b * e).astype(w.dtype) for w, d, e in zip(centre, one, other, strict=True)
        ])
        for b, a in track(grid, "loss landscape")
    ]  # fmt: skip
    product = sum(float(np.vdot(d, e)) for d, e in zip(one, other, strict=True))
    return Landscape(
        model=label or model.name,
        seed=seed,
        images=len(images),
        training=training,
        places=places,
        losses=np.reshape(losses, (points, points)),
        cosine=product / (norm(one) * norm(other)),
    )


def landscape_cost(
    model: keras.Model, images: Any, points: int = 25, batch_size: int = BATCH
) -> Cost:
    """Return what `landscape` costs: a pass forward at each point, of each batch.

    Args:
        model: The network.
        images: The images, of which one is computed.
        points: As for `landscape`.
        batch_size: As for `landscape`.

    Raises:
        ValueError: `points` is even or below 3, or `batch_size` below 1.
        DiagnosticsError: The model has no graph.
    """
    _check(1.0, points, batch_size)
    batch = min(batch_size, len(images))
    # Directions are in float64, of which there are two; the weights, and those at a point.
    weights = 6 * weight_bytes(model)
    return Cost(
        f"{points} x {points} losses around {model.name}",
        passes=points**2 * -(-len(images) // batch),
        batch=batch,
        bytes=activation_bytes(model, images[:batch]) + weights,
    )


def _output_axes(model: keras.Model) -> dict[int, tuple[int, ...]]:
    """Return the axes of the outputs of each trainable weight by its id, none if it stays."""
    found: dict[int, tuple[int, ...]] = {}
    for layer in _layers(model):
        for kinds, axes in FILTERS.items():
            if isinstance(layer, kinds):
                held = ((name, getattr(layer, name, None)) for name in axes)
                found |= {id(v): axes[name] for name, v in held if v is not None}
    for variable in model.trainable_variables:
        if len(variable.shape) > 1 and id(variable) not in found:
            raise DiagnosticsError(
                f"{model.name} has the weight {variable.path} of shape {tuple(variable.shape)}, "
                "and nobody knows what one filter of it is; freeze it with trainable=False, or "
                "measure a model of layers of isozoo.diagnostics.landscapes.FILTERS"
            )
    return found


def _layers(layer: Any) -> Iterator[Any]:
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _layers(inner)


def _mean_loss(surfaces: Sequence[tuple[int, LossSurface]], values: Arrays) -> float:
    total = sum(count * surface.loss(values) for count, surface in surfaces)
    return total / sum(count for count, _ in surfaces)


def _batches(images: Any, labels: Any, size: int) -> Iterator[tuple[Any, Any]]:
    for first in range(0, len(images), size):
        yield images[first : first + size], labels[first : first + size]


def _check(extent: float, points: int, batch_size: int) -> None:
    if not extent > 0:
        raise ValueError(f"extent must be positive, got {extent}")
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points must be odd and at least 3, got {points}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
