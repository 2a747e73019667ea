r"""Internal covariate shift as Santurkar et al. define it, by gradients.

What a layer's gradient would have been, had the layers before it taken their update already:

$$G_i = \nabla_{W_i} L(W_1, \ldots, W_k), \qquad
  G'_i = \nabla_{W_i} L(W_1', \ldots, W_{i-1}', W_i, \ldots, W_k)$$

with $W'$ the weights after the optimiser's step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np

from isozoo.diagnostics.ahead import next_weights, optimizer_of, step_ahead, steps_done
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.showing import figure, number, table, track
from isozoo.diagnostics.surface import (
    Loss,
    LossSurface,
    activation_bytes,
    cosine,
    norm,
    weight_bytes,
)
from isozoo.diagnostics.walks import VARIANTS
from isozoo.diagnostics.weighted import chosen_layers, weighted_layers
from isozoo.errors import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class CovariateShift(Result):
    """How much the gradient of each layer changes by the update of those before it.

    Args:
        model: What was measured.
        variant: Key of `isozoo.diagnostics.walks.VARIANTS`.
        layers: Names of the layers, in order of computation.
        steps: Training steps done when it was measured, `(steps,)`.
        l2: Norms of the differences of the gradients, `(steps, layers)`.
        cosine: Cosines of the angles between them, `(steps, layers)`; NaN where one is zero.
        gradient_norm: Norms of the gradients before, `(steps, layers)`.
    """

    measure: ClassVar[str] = "covariate_shift"

    variant: str
    layers: tuple[str, ...]
    steps: np.ndarray
    l2: np.ndarray
    cosine: np.ndarray
    gradient_norm: np.ndarray

    def table(self) -> Table:
        """Return a row for each layer, of the means over the training steps."""
        columns = ("L2", "COSINE", "NORM OF THE GRADIENT")
        title = f"{self.model}, {self.variant}: mean of {len(self.steps)} training steps"
        shown = table("LAYER", *columns, right=columns, title=title)
        rows = zip(
            self.layers,
            *(values.mean(axis=0) for values in (self.l2, self.cosine, self.gradient_norm)),
            strict=True,
        )
        for name, *values in rows:
            shown.add_row(name, *map(number, values))
        return shown

    def plot(self) -> Figure:
        """Return L2 and cosine of each layer, over training if measured more than once."""
        picture, (panels,) = figure(2)
        titles = ("L2 distance of the gradients", "cosine of the gradients")
        for axes, values, title in zip(panels, (self.l2, self.cosine), titles, strict=True):
            if len(self.steps) == 1:
                axes.plot(values[0], marker="o")
                axes.set_xticks(range(len(self.layers)), self.layers, rotation=90, fontsize=7)
            else:
                for name, line in zip(self.layers, values.T, strict=True):
                    axes.plot(self.steps, line, label=name.rpartition("/")[2])
                axes.set_xlabel("training step")
            axes.set_title(title, fontsize=10)
            axes.grid(alpha=0.3)
        if len(self.steps) > 1:
            picture.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
        picture.suptitle(f"{self.model}, {self.variant}", fontsize=10)
        return picture


def joined(parts: Sequence[CovariateShift]) -> CovariateShift:
    """Return measurements at single steps as one of them all."""
    over_steps = ("steps", "l2", "cosine", "gradient_norm")
    return dataclasses.replace(
        parts[0],
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in over_steps},
    )


def covariate_shift(
    model: keras.Model,
    images: Any,
    labels: Any,
    *,
    variant: str = "exact",
    layers: Sequence[str] | None = None,
    loss: Loss | None = None,
    penalties: bool = True,
    label: str | None = None,
) -> CovariateShift:
    """Measure how the update of earlier layers changes the gradient of later ones.

    The update is that of the model's own optimiser, its momentum, schedule and clipping included:
    the layers before are where the next training step would leave them, the layer and those after
    it where they are. Model and optimiser are afterwards what they were, to the bit.

    Args:
        model: The network, compiled.
        images: A preprocessed batch `(batch, height, width, channels)`.
        labels: What the loss compares with: classes `(batch,)` or probabilities `(batch, classes)`.
        variant: `"exact"`, both gradients in training mode; or `"notebook"`, the second one in
            inference mode, with running statistics that the first one's step has not changed.
        layers: Names of the layers to measure; all that have kernels if None.
        loss: Of labels and what the model returns; cross-entropy of logits if None.
        penalties: Whether what layers add to the loss counts, as it does in training.
        label: What the model is called in tables; its name if None.

    Returns:
        The measurement, of one training step; of layers with several kernels, of all together.

    Raises:
        UnknownNameError: There is no such variant or layer.
        DiagnosticsError: The model has no graph or was not compiled, or the backend cannot
            differentiate.

    Reference:
        Santurkar et al., NeurIPS 2018, definition 2.1.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("resnet-8", classes=2))
        >>> model.compile("sgd")
        >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
        >>> found = covariate_shift(model, images, np.arange(4) % 2, layers=["head/head_fc"])
        >>> found.layers, bool(found.cosine[0, 0] < 1)
        (('head/head_fc',), True)
    """
    if variant not in VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    optimizer_of(model)  # Refuses a model that has none before anything is computed.
    chosen = chosen_layers(model, layers)
    surface = LossSurface(model, images, labels, loss=loss, training=True, penalties=penalties)
    values = surface.values()
    _, now = surface.gradient(values)
    # The step of training is by the penalties, too.
    after = step_ahead(model, now) if penalties else next_weights(model, images, labels, loss)
    # The notebook compares a gradient of training with one of inference.
    surface.training = not VARIANTS[variant].inference
    found = []
    for layer in track(weighted_layers(model), "layer by layer"):
        if layer in chosen:
            _, later = surface.gradient(values)
            one, other = (_flat(parts, layer.kernels) for parts in (now, later))
            found.append((norm([other - one]), cosine(one, other), norm([one])))
        # From here on this layer is one of those before.
        for i in layer.weights:
            values[i] = after[i]
    l2, cosines, norms = np.array(found).T
    return CovariateShift(
        model=label or model.name,
        variant=variant,
        layers=tuple(layer.name for layer in chosen),
        steps=np.array([steps_done(model)]),
        l2=l2[None],
        cosine=cosines[None],
        gradient_norm=norms[None],
    )


def covariate_shift_cost(
    model: keras.Model, images: Any, layers: Sequence[str] | None = None
) -> Cost:
    """Return what `covariate_shift` costs: a pass forward and one backward for each layer.

    Args:
        model: The network.
        images: The batch, of which one image is computed.
        layers: As for `covariate_shift`.

    Raises:
        UnknownNameError: There is no such layer.
        DiagnosticsError: The model has no graph.
    """
    chosen = chosen_layers(model, layers)
    return Cost(
        f"{model.name} with earlier layers a step ahead",
        passes=2 * (1 + len(chosen)),
        batch=len(images),
        # Gradients now and later, weights after the step, and what the optimiser remembers.
        bytes=activation_bytes(model, images) + 5 * weight_bytes(model),
    )


def _flat(arrays: Sequence[np.ndarray], places: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([arrays[i].astype(np.float64).ravel() for i in places])
