"""What the proposal network and the heads are to learn from the objects of a picture."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from isozoo.detection.boxes import encode
from isozoo.detection.matching import Sample, match, sample
from isozoo.detection.proposals import VARIANCE, Proposals
from isozoo.detection.roi_align import interpolate, points
from isozoo.detection.settings import DetectionSettings


class Objects(NamedTuple):
    """The objects of pictures, filled up to as many in each.

    Args:
        boxes: `(batch, objects, 4)` in pixels.
        labels: `(batch, objects)`: classes, from 0 on.
        masks: `(batch, objects, side, side)`: which part of its box each covers, 0 or 1.
        valid: `(batch, objects)`, bool: where there is an object.
    """

    boxes: Any
    labels: Any
    masks: Any
    valid: Any


class ProposalTargets(NamedTuple):
    """What the proposal network is to say of some anchors.

    Args:
        drawn: Which anchors.
        offsets: `(batch, drawn, 4)`: where the object is.
    """

    drawn: Sample
    offsets: Any


class BoxTargets(NamedTuple):
    """What the heads are to say of some proposals.

    Args:
        boxes: `(batch, drawn, 4)`: the proposals.
        drawn: Which of them stand for objects; these come first.
        objects: `(batch, drawn)`: which object each stands for.
        labels: `(batch, drawn)`: its class; the number of classes for the background.
        offsets: `(batch, drawn, 4)`: where the object is.
    """

    boxes: Any
    drawn: Sample
    objects: Any
    labels: Any
    offsets: Any


def proposal_targets(
    anchors: Any, objects: Objects, settings: DetectionSettings, seed: keras.random.SeedGenerator
) -> ProposalTargets:
    """Draw anchors `(anchors, 4)` to learn from, and return what they are to say."""
    found = match(
        anchors, objects.boxes, objects.valid, *settings.proposal_overlap, best_of_each=True
    )
    count = min(settings.proposal_batch, anchors.shape[0])
    drawn = sample(found.labels, count, settings.proposal_positives, seed)
    numbers = ops.take_along_axis(found.objects, drawn.indices, axis=1)
    boxes = ops.take_along_axis(objects.boxes, numbers[..., None], axis=1)
    around = ops.take(ops.convert_to_tensor(anchors, "float32"), drawn.indices, axis=0)
    return ProposalTargets(drawn, ops.stop_gradient(encode(boxes, around, VARIANCE)))


def box_targets(
    proposals: Proposals,
    objects: Objects,
    classes: int,
    settings: DetectionSettings,
    seed: keras.random.SeedGenerator,
) -> BoxTargets:
    """Draw proposals to learn from, and return what they stand for.

    The objects' own boxes are proposals too, so that there are some of objects from the beginning.
    """
    boxes = ops.concatenate([proposals.boxes, objects.boxes], axis=1)
    valid = ops.concatenate([proposals.valid, objects.valid], axis=1)
    found = match(boxes, objects.boxes, objects.valid, *settings.box_overlap)
    labels = ops.where(valid, found.labels, -1)
    drawn = sample(labels, min(settings.box_batch, boxes.shape[1]), settings.box_positives, seed)
    boxes = ops.take_along_axis(boxes, drawn.indices[..., None], axis=1)
    numbers = ops.take_along_axis(found.objects, drawn.indices, axis=1)
    own = ops.take_along_axis(ops.cast(objects.labels, "int32"), numbers, axis=1)
    offsets = encode(ops.take_along_axis(objects.boxes, numbers[..., None], axis=1), boxes)
    return BoxTargets(
        ops.stop_gradient(boxes),
        drawn,
        numbers,
        ops.where(drawn.positive, own, classes),
        ops.stop_gradient(offsets),
    )


def mask_targets(boxes: Any, numbers: Any, objects: Objects, size: int) -> Any:
    """Return the masks of objects as they lie in other boxes.

    The mask of an object is interpolated bilinearly at `size * size` points of a box and counts
    where it is at least one half. (Detectron2 cuts them out of masks of the whole picture.)

    Args:
        boxes: `(batch, boxes, 4)`.
        numbers: `(batch, boxes)`: the object that each stands for.
        objects: The objects.
        size: Points on a side.

    Returns:
        `(batch, boxes, size, size)`, float32, 0 or 1.

    Example:
        >>> mask = ops.array([[[[1.0, 0.0], [1.0, 0.0]]]])
        >>> whole = ops.array([[[0.0, 0, 8, 8]]])
        >>> one = Objects(whole, ops.array([[0]]), mask, ops.array([[True]]))
        >>> left = ops.array([[[0.0, 0, 4, 4]]])
        >>> float(ops.mean(mask_targets(left, ops.array([[0]]), one, size=4)))
        1.0
    """
    side = objects.masks.shape[-1]
    of = ops.take_along_axis(objects.boxes, numbers[..., None], axis=1)
    corner, extent = of[..., :2], ops.maximum(of[..., 2:] - of[..., :2], 1e-3)
    # In cells of the object's mask.
    inside = ops.concatenate(
        [(boxes[..., :2] - corner) / extent, (boxes[..., 2:] - corner) / extent], axis=-1
    )
    y, x = (points(inside * side, axis, size) for axis in (1, 0))
    masks = ops.cast(objects.masks, "float32")
    flat = ops.reshape(masks, (ops.shape(masks)[0], -1, 1))
    sides = ops.full_like(numbers[..., None], side)
    found = interpolate(flat, numbers[..., None] * side**2, (sides, sides), y, x)
    return ops.cast(found[..., 0] >= 0.5, "float32")
