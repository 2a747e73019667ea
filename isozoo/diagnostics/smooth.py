r"""How smooth the loss is along its own gradient, in three measures of Santurkar et al.

At weights $w$ with gradient $g$ the loss is computed anew at $w - \eta s g$, $\eta$ being the
learning rate, for a range of $s$.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.diagnostics.ahead import learning_rate_of, next_weights, optimizer_of, steps_done
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.showing import track
from isozoo.diagnostics.surface import (
    Arrays,
    Loss,
    LossSurface,
    activation_bytes,
    apart,
    norm,
    weight_bytes,
)
from isozoo.diagnostics.walks import VARIANTS, Smoothness, Variant
from isozoo.errors import unknown


def smoothness(
    model: keras.Model,
    images: Any,
    labels: Any,
    *,
    variant: str = "exact",
    learning_rate: float | None = None,
    scales: Sequence[float] | None = None,
    training: bool = True,
    loss: Loss | None = None,
    penalties: bool = False,
    label: str | None = None,
) -> Smoothness:
    r"""Measure how the loss and its gradient change along the gradient.

    $$\text{loss range} = \big[\min_s, \max_s\big] L(w - \eta s g), \qquad
      \text{predictiveness} = \big[\min_s, \max_s\big] \lVert \nabla L(w - \eta s g) - g \rVert_2,
      \qquad
      \beta = \max_s \frac{\lVert \nabla L(w - \eta s g) - g \rVert_2}{\eta s \lVert g \rVert_2}$$

    The model and its optimiser are afterwards what they were, to the bit.

    Args:
        model: The network.
        images: A preprocessed batch `(batch, height, width, channels)`.
        labels: What the loss compares with: classes `(batch,)` or probabilities `(batch, classes)`.
        variant: Key of `VARIANTS`: `"exact"`, or `"notebook"`, which needs a compiled model.
        learning_rate: $\eta$; that of the model's optimiser if None.
        scales: The $s$, all positive; the variant's own if None.
        training: Whether the gradient is taken in training mode, with the statistics of the batch.
        loss: Of labels and what the model returns; cross-entropy of logits if None.
        penalties: Whether what layers add to the loss counts, such as the orthogonality penalty.
        label: What the model is called in tables; its name if None.

    Returns:
        The measurement, of one training step.

    Raises:
        UnknownNameError: There is no such variant.
        DiagnosticsError: No learning rate is given or the variant steps ahead, and the model has no
            optimiser; or the backend cannot differentiate.
        ValueError: A scale or the learning rate is not positive.

    Reference:
        Santurkar et al., "How Does Batch Normalization Help Optimization?", NeurIPS 2018.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("resnet-8", classes=2))
        >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
        >>> found = smoothness(model, images, np.arange(4) % 2, learning_rate=0.1, scales=[1, 2])
        >>> found.losses.shape, found.beta.shape, bool(found.beta > 0)
        ((1, 2), (1,), True)
    """
    if variant in VARIANTS and VARIANTS[variant].ahead:
        optimizer_of(model)  # Refuses a model that has none before anything is computed.
    found = direction(
        model, images, labels, variant=variant, learning_rate=learning_rate, scales=scales,
        training=training, loss=loss, penalties=penalties, label=label,
    )  # fmt: skip
    if VARIANTS[variant].ahead:
        return found.follow(next_weights(model, images, labels, loss))
    return found.follow(found.surface.values())


class Direction(NamedTuple):
    """A gradient that is to be followed.

    Args:
        label: What the model is called.
        variant: Key of `VARIANTS`.
        training: Whether the gradient was taken in training mode.
        scales: The scales.
        step: Training steps done.
        rate: The learning rate.
        loss: The loss where the gradient is from.
        gradient: The gradient.
        surface: The loss, in the mode in which it is followed.
    """

    label: str
    variant: str
    training: bool
    scales: tuple[float, ...]
    step: int
    rate: float
    loss: float
    gradient: list[np.ndarray]
    surface: LossSurface

    def follow(self, start: Arrays) -> Smoothness:
        """Measure from some weights on, which need not be where the gradient is from."""
        rates = [self.rate * scale for scale in self.scales]
        losses, differences = walk(self.surface, start, self.gradient, rates)
        return Smoothness(
            model=self.label,
            variant=self.variant,
            training=self.training,
            scales=np.array(self.scales),
            steps=np.array([self.step]),
            learning_rate=np.array([self.rate]),
            loss=np.array([self.loss]),
            gradient_norm=np.array([norm(self.gradient)]),
            losses=losses[None],
            differences=differences[None],
        )


def direction(
    model: keras.Model,
    images: Any,
    labels: Any,
    *,
    variant: str = "exact",
    learning_rate: float | None = None,
    scales: Sequence[float] | None = None,
    training: bool = True,
    loss: Loss | None = None,
    penalties: bool = False,
    label: str | None = None,
) -> Direction:
    """Return the gradient that `smoothness` follows, of the same arguments."""
    way, scales = _checked(variant, scales)
    rate = learning_rate_of(model) if learning_rate is None else learning_rate
    if not rate > 0:
        raise ValueError(f"learning_rate must be positive, got {rate}")
    surface = LossSurface(model, images, labels, loss=loss, training=training, penalties=penalties)
    here, gradient = surface.gradient(surface.values())
    surface.training = training and not way.inference
    return Direction(
        label or model.name, variant, training, scales, steps_done(model), rate, here, gradient,
        surface,
    )  # fmt: skip


def walk(
    surface: LossSurface, start: Arrays, gradient: Arrays, rates: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and differences of gradients along a gradient, `(rates,)` each.

    Args:
        surface: The loss, in the mode in which the walk is done.
        start: Weights to start at.
        gradient: What is followed and compared with, which need not be the gradient there.
        rates: By how many times the gradient the weights move.
    """
    found = []
    for rate in track(rates, "along the gradient"):
        pairs = zip(start, gradient, strict=True)
        loss, other = surface.gradient([w - w.dtype.type(rate) * g for w, g in pairs])
        found.append((loss, apart(other, gradient)))
    losses, differences = np.array(found).T
    return losses, differences


def smoothness_cost(
    model: keras.Model,
    images: Any,
    variant: str = "exact",
    scales: Sequence[float] | None = None,
) -> Cost:
    """Return what `smoothness` costs: a pass forward and one backward at each scale and before.

    A variant that steps ahead has one more of each, for the step.

    Args:
        model: The network.
        images: The batch, of which one image is computed.
        variant: As for `smoothness`.
        scales: As for `smoothness`.

    Raises:
        UnknownNameError: There is no such variant.
        DiagnosticsError: The model has no graph.
    """
    way, scales = _checked(variant, scales)
    return Cost(
        f"{model.name} along its gradient, {variant}",
        passes=2 * (1 + way.ahead + len(scales)),
        batch=len(images),
        # Beside the weights: gradient, weights on the walk and gradient there.
        bytes=activation_bytes(model, images) + 4 * weight_bytes(model),
    )


def _checked(variant: str, scales: Sequence[float] | None) -> tuple[Variant, tuple[float, ...]]:
    if variant not in VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    way = VARIANTS[variant]
    found = way.scales if scales is None else tuple(map(float, scales))
    if not found or not min(found) > 0:
        raise ValueError(f"scales must be one positive number or more, got {list(found)}")
    return way, found
