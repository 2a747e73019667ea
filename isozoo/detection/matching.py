"""Which object a box stands for, and which boxes a step of training learns from."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops
from keras.utils import bounding_boxes

#: What a box stands for: an object, the background, or neither clearly enough to learn from.
OBJECT, BACKGROUND, NEITHER = 1, 0, -1


class Matches(NamedTuple):
    """What boxes stand for.

    Args:
        objects: `(batch, boxes)`, int32: the object that each box overlaps most.
        labels: `(batch, boxes)`, int32: `OBJECT`, `BACKGROUND` or `NEITHER`.
    """

    objects: Any
    labels: Any


def match(
    boxes: Any,
    objects: Any,
    valid: Any,
    low: float,
    high: float,
    best_of_each: bool = False,
) -> Matches:
    r"""Match boxes with the objects of an image by their overlap.

    A box whose largest intersection over union with an object is at least `high` stands for that
    object; below `low`, for the background; between, for neither.

    Args:
        boxes: `(boxes, 4)`, or `(batch, boxes, 4)`: left, top, right and bottom.
        objects: `(batch, objects, 4)`, filled up where an image has fewer.
        valid: `(batch, objects)`, bool: where there is an object.
        low: In [0, 1].
        high: In [`low`, 1].
        best_of_each: Whether the boxes that overlap an object as no other box does stand for an
            object in any case, so that every object that a box touches has one. (As in detectron2,
            it is the object that such a box itself overlaps most.)

    Returns:
        What each box stands for; the background in an image without objects. Needs memory for
        `batch * boxes * objects` overlaps.

    Raises:
        ValueError: Not 0 <= `low` <= `high` <= 1.

    Example:
        >>> boxes = ops.array([[0.0, 0, 4, 4], [0, 0, 4, 2], [8, 8, 9, 9]])
        >>> found = match(boxes, boxes[None, :1], ops.array([[True]]), low=0.3, high=0.7)
        >>> ops.convert_to_numpy(found.labels).tolist()
        [[1, -1, 0]]
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"overlaps must be 0 <= low <= high <= 1, got low={low}, high={high}")
    boxes, objects = (ops.convert_to_tensor(value, "float32") for value in (boxes, objects))
    if len(boxes.shape) == 2:
        boxes = ops.repeat(boxes[None], ops.shape(objects)[0], axis=0)
    overlaps = bounding_boxes.compute_iou(boxes, objects, "xyxy")
    overlaps = ops.where(valid[:, None], overlaps, -1.0)
    largest = ops.max(overlaps, axis=-1)
    labels = ops.where(largest >= high, OBJECT, ops.where(largest < low, BACKGROUND, NEITHER))
    if best_of_each:
        best = ops.max(overlaps, axis=1, keepdims=True)
        is_best = ops.logical_and(overlaps == best, overlaps > 0)
        labels = ops.where(ops.any(is_best, axis=-1), OBJECT, labels)
    return Matches(ops.cast(ops.argmax(overlaps, axis=-1), "int32"), ops.cast(labels, "int32"))


class Sample(NamedTuple):
    """Boxes to learn from.

    Args:
        indices: `(batch, count)`, int32: which boxes, those of objects first.
        positive: `(batch, count)`, bool: whether a box stands for an object.
        valid: `(batch, count)`, bool: whether there is a box; false where there are too few.
    """

    indices: Any
    positive: Any
    valid: Any


def sample(
    labels: Any, count: int, positives: float, seed: keras.random.SeedGenerator | int
) -> Sample:
    """Draw boxes to learn from: some of objects, the rest of the background.

    Args:
        labels: `(batch, boxes)`: what each stands for, as in `Matches`.
        count: Boxes to draw of each image, at most as many as there are.
        positives: Largest share of boxes of objects, in [0, 1]. Where there are fewer, there are
            more of the background.
        seed: Draws; a new one each time if it is a generator.

    Returns:
        The boxes that were drawn, each at most once.

    Raises:
        ValueError: `count` or `positives` is out of its range.

    Example:
        >>> drawn = sample(ops.array([[0, -1, 1, 0]]), count=3, positives=0.5, seed=0)
        >>> ops.convert_to_numpy(drawn.positive).tolist()
        [[True, False, False]]
    """
    if not 0 <= positives <= 1:
        raise ValueError(f"positives must be in [0, 1], got {positives}")
    if not 1 <= count <= labels.shape[1]:
        raise ValueError(f"count must be in [1, {labels.shape[1]}], got {count}")
    # Above 0, so that 0 is left for what must not be drawn.
    draw = 0.5 + 0.5 * keras.random.uniform(ops.shape(labels), seed=seed)
    of_object = ops.where(labels == OBJECT, draw, 0.0)
    limit = int(count * positives)
    # A number too high for any draw where no object may be drawn.
    least = ops.top_k(of_object, limit)[0][:, -1:] if limit else 2.0
    drawn = ops.logical_and(of_object > 0, of_object >= least)
    of_background = ops.where(labels == BACKGROUND, draw, 0.0)
    keys, indices = ops.top_k(ops.where(drawn, 1.0 + of_object, of_background), count)
    return Sample(ops.cast(indices, "int32"), keys > 1.0, keys > 0)
