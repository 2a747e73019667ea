"""The five losses of Mask R-CNN."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from isozoo.detection.proposals import Scored
from isozoo.detection.targets import BoxTargets, ProposalTargets


def proposal_losses(scored: Scored, targets: ProposalTargets, batch: int) -> dict[str, Any]:
    """Return how wrong the proposal network is about the anchors that were drawn.

    Args:
        scored: What it said of all anchors.
        targets: What it should say.
        batch: Anchors to be drawn of each picture. The sums are divided by it, even if there are
            fewer, so that every picture weighs the same on any number of devices.

    Returns:
        `objectness`, binary cross-entropy, and `proposal_offsets`, absolute differences summed
        over the four offsets; scalars.
    """
    drawn = targets.drawn
    logits = ops.take_along_axis(scored.logits, drawn.indices, axis=1)
    offsets = ops.take_along_axis(scored.offsets, drawn.indices[..., None], axis=1)
    # A replica may have no picture of a batch.
    pictures = ops.maximum(ops.cast(ops.shape(logits)[0], "float32"), 1.0)
    wrong = _cross_entropy(drawn.positive, logits) * ops.cast(drawn.valid, "float32")
    apart = ops.sum(ops.absolute(offsets - targets.offsets), axis=-1)
    apart = ops.where(drawn.positive, apart, 0.0)
    return {
        "objectness": ops.sum(wrong) / (batch * pictures),
        "proposal_offsets": ops.sum(apart) / (batch * pictures),
    }


def box_losses(said: dict[str, Any], targets: BoxTargets) -> dict[str, Any]:
    """Return how wrong the box head is about the proposals that were drawn.

    Args:
        said: `logits` `(batch, drawn, classes + 1)` and `offsets` `(batch, drawn, classes, 4)`.
        targets: What it should say.

    Returns:
        `classes`, the mean cross-entropy, and `box_offsets`, absolute differences summed over the
        four offsets of the right class; both divided by the number of proposals that were drawn.
    """
    drawn = targets.drawn
    count = ops.maximum(ops.sum(ops.cast(drawn.valid, "float32")), 1.0)
    wrong = keras.losses.sparse_categorical_crossentropy(
        targets.labels, said["logits"], from_logits=True
    )
    offsets = of_class(said["offsets"], targets)
    apart = ops.sum(ops.absolute(offsets - targets.offsets), axis=-1)
    return {
        "classes": ops.sum(ops.where(drawn.valid, wrong, 0.0)) / count,
        "box_offsets": ops.sum(ops.where(drawn.positive, apart, 0.0)) / count,
    }


def mask_loss(logits: Any, masks: Any, positive: Any) -> dict[str, Any]:
    """Return how wrong the mask head is: binary cross-entropy, the mean over boxes of objects.

    Args:
        logits: `(batch, boxes, size, size)`: of the right class.
        masks: `(batch, boxes, size, size)`, 0 or 1.
        positive: `(batch, boxes)`, bool: which boxes stand for objects. 0 if none does.

    Returns:
        `masks`, a scalar.
    """
    wrong = ops.mean(_cross_entropy(masks, logits), axis=(2, 3))
    count = ops.maximum(ops.sum(ops.cast(positive, "float32")), 1.0)
    return {"masks": ops.sum(ops.where(positive, wrong, 0.0)) / count}


def of_class(values: Any, targets: BoxTargets) -> Any:
    """Return the right class of values `(batch, drawn, classes, ...)`; any for the background."""
    classes = ops.where(targets.drawn.positive, targets.labels, 0)
    index = ops.reshape(classes, (*ops.shape(classes), *[1] * (len(values.shape) - 2)))
    return ops.squeeze(ops.take_along_axis(values, index, axis=2), axis=2)


def _cross_entropy(truth: Any, logits: Any) -> Any:
    """Return the binary cross-entropy of every logit."""
    return ops.binary_crossentropy(ops.cast(truth, "float32"), logits, from_logits=True)
