"""Boxes as offsets from other boxes; a box is `(left, top, right, bottom)` in pixels."""

from __future__ import annotations

import math
from typing import Any

from keras import ops
from keras.utils import bounding_boxes

#: By which offsets are divided: of the centre in sizes of the anchor, and of the logarithms of the
#: sizes. Detectron2's for proposals are (1, 1, 1, 1), for the boxes of a box head these.
VARIANCE = (0.1, 0.1, 0.2, 0.2)
#: Largest logarithm of a ratio of sizes: offsets of an untrained network must not overflow.
LARGEST_GROWTH = math.log(1000 / 16)


def encode(boxes: Any, anchors: Any, variance: tuple[float, ...] = VARIANCE) -> Any:
    r"""Return boxes as offsets from anchors.

    With centre $(x, y)$, width $w$ and height $h$ of a box and $(x_a, y_a, w_a, h_a)$ of its
    anchor, $((x - x_a) / w_a, (y - y_a) / h_a, \ln (w / w_a), \ln (h / h_a))$, each divided by its
    variance.

    Args:
        boxes: `(boxes, 4)` or `(batch, boxes, 4)`.
        anchors: Of the same shape, or `(boxes, 4)`.
        variance: Divisors of the four offsets.

    Returns:
        Offsets, of the shape of `boxes`; finite also for boxes without an area.

    Reference:
        Girshick et al., Rich feature hierarchies, CVPR 2014.

    Example:
        >>> offsets = encode(ops.array([[2.0, 0, 6, 4]]), ops.array([[0.0, 0, 4, 4]]))
        >>> ops.convert_to_numpy(offsets).tolist()
        [[5.0, 0.0, 0.0, 0.0]]
    """
    return bounding_boxes.encode_box_to_deltas(
        anchors, boxes, "xyxy", "xyxy", encoding_format="center_xywh", variance=list(variance)
    )


def decode(offsets: Any, anchors: Any, variance: tuple[float, ...] = VARIANCE) -> Any:
    """Return the boxes of offsets from anchors, the inverse of `encode`.

    Sizes are at most 62.5 times those of the anchor.

    Args:
        offsets: `(boxes, 4)` or `(batch, boxes, 4)`.
        anchors: Of the same shape, or `(boxes, 4)`.
        variance: Factors of the four offsets.

    Returns:
        Boxes, of the shape of `offsets`.

    Example:
        >>> boxes = decode(ops.array([[5.0, 0, 0, 0]]), ops.array([[0.0, 0, 4, 4]]))
        >>> ops.convert_to_numpy(boxes).tolist()
        [[2.0, 0.0, 6.0, 4.0]]
    """
    centres, sizes = offsets[..., :2], offsets[..., 2:]
    largest = ops.convert_to_tensor([LARGEST_GROWTH / v for v in variance[2:]], "float32")
    offsets = ops.concatenate([centres, ops.minimum(sizes, largest)], axis=-1)
    return bounding_boxes.decode_deltas_to_boxes(
        anchors, offsets, "xyxy", "xyxy", encoded_format="center_xywh", variance=list(variance)
    )


def area(boxes: Any) -> Any:
    """Return the areas `(..., boxes)` of boxes `(..., boxes, 4)`; 0 where a side is negative."""
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]
