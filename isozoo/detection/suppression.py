"""Suppression of boxes that overlap a better one, with shapes that are known beforehand."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops
from keras.utils import bounding_boxes


class Kept(NamedTuple):
    """Boxes that were kept.

    Args:
        indices: `(batch, outputs)`, int32: which boxes, the best first; 0 where there is none.
        valid: `(batch, outputs)`, bool: whether there is one.
    """

    indices: Any
    valid: Any


def suppress(
    boxes: Any,
    scores: Any,
    threshold: float,
    outputs: int,
    classes: Any = None,
    valid: Any = None,
) -> Kept:
    r"""Keep the best boxes, each of which overlaps no better kept one by more than a threshold.

    From the highest score to the lowest, a box is kept unless the intersection over the union with
    a box that was kept is above the threshold. Instead of one box after another, all are judged
    at once by the verdicts of the round before, until none changes: after $k$ rounds the verdicts
    on the $k$ best are final, so what is kept is exactly the same, mostly after a few rounds.

    Args:
        boxes: `(batch, boxes, 4)`, left, top, right and bottom.
        scores: `(batch, boxes)`. Of equal ones the first is the better.
        threshold: Largest overlap of two kept boxes, in [0, 1].
        outputs: How many boxes to keep at most.
        classes: `(batch, boxes)` of integers: only boxes of one class suppress each other. All
            do if None.
        valid: `(batch, boxes)`, bool: boxes that are not are never kept, nor do they suppress.

    Returns:
        The boxes that are kept. Needs memory for `batch * boxes * boxes` overlaps.

    Raises:
        ValueError: `threshold` or `outputs` is out of its range.

    Example:
        >>> boxes = ops.array([[[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]]], "float32")
        >>> kept = suppress(boxes, ops.array([[0.5, 0.9, 0.1]]), threshold=0.5, outputs=2)
        >>> ops.convert_to_numpy(kept.indices).tolist()
        [[1, 2]]
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be in [0, 1], got {threshold}")
    if outputs < 1:
        raise ValueError(f"outputs must be at least 1, got {outputs}")
    count = boxes.shape[1]
    if valid is None:
        valid = ops.ones_like(scores, dtype="bool")
    # Invalid boxes last; stable, so that the first of equal scores comes first on every backend.
    keys = ops.where(valid, -ops.cast(scores, "float32"), float("inf"))
    order = ops.argsort(keys, axis=1)
    boxes = ops.take_along_axis(boxes, order[..., None], axis=1)
    valid = ops.take_along_axis(valid, order, axis=1)
    over = bounding_boxes.compute_iou(boxes, boxes, "xyxy") > threshold
    if classes is not None:
        classes = ops.take_along_axis(classes, order, axis=1)
        over = ops.logical_and(over, classes[:, :, None] == classes[:, None, :])
    better = ops.arange(count)[:, None] < ops.arange(count)[None]
    suppresses = ops.logical_and(over, better[None])
    kept = _settle(suppresses, valid)
    return _first(kept, order, outputs)


def _settle(suppresses: Any, valid: Any) -> Any:
    """Return which boxes are kept, sorted by score; `suppresses` says which would remove which."""
    matrix = ops.cast(suppresses, "float32")

    def judge(kept):
        removed = ops.einsum("bi,bij->bj", ops.cast(kept, "float32"), matrix) > 0
        return ops.logical_and(valid, ops.logical_not(removed))

    def changing(before, kept):
        return ops.any(ops.not_equal(before, kept))

    _, kept = ops.while_loop(
        changing, lambda before, kept: (kept, judge(kept)), (valid, judge(valid))
    )
    return kept


def _first(kept: Any, order: Any, outputs: int) -> Kept:
    """Return the first kept boxes in the numbers of before they were sorted."""
    count = kept.shape[1]
    places = ops.where(kept, count - ops.arange(count), 0)
    found, indices = ops.top_k(places, min(outputs, count))
    valid = found > 0
    indices = ops.take_along_axis(order, indices, axis=1)
    indices = ops.cast(ops.where(valid, indices, 0), "int32")
    missing = max(outputs - count, 0)
    return Kept(*(ops.pad(value, ((0, 0), (0, missing))) for value in (indices, valid)))
