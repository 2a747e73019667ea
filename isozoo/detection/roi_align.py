"""Features of boxes, cut out of a feature pyramid by bilinear interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keras import ops

from isozoo.detection.anchors import stride
from isozoo.detection.boxes import area

#: Side of a box in pixels that belongs to `CANONICAL_LEVEL`.
CANONICAL_SIZE = 224
CANONICAL_LEVEL = 4


def levels_of(boxes: Any, lowest: int, highest: int) -> Any:
    r"""Return the pyramid level of each box: $\lfloor 4 + \log_2 (\sqrt{w h} / 224) \rfloor$.

    Args:
        boxes: `(batch, boxes, 4)` in pixels of the image.
        lowest: The lowest level, 2 for P2; smaller boxes belong to it too.
        highest: The highest level; larger boxes belong to it too.

    Returns:
        Levels `(batch, boxes)`, int32.

    Reference:
        Lin et al., Feature Pyramid Networks, CVPR 2017, equation 1.

    Example:
        >>> boxes = ops.array([[[0, 0, 224, 224], [0, 0, 112, 112], [0, 0, 5, 5]]], "float32")
        >>> ops.convert_to_numpy(levels_of(boxes, 2, 5)).tolist()
        [[4, 3, 2]]
    """
    # Detectron2's margin: 224 pixels must not fall below level 4 by rounding, nor 0 be taken of.
    ratio = ops.sqrt(area(boxes)) / CANONICAL_SIZE + 1e-8
    level = ops.floor(CANONICAL_LEVEL + ops.log(ratio) / math.log(2.0))
    return ops.cast(ops.clip(level, lowest, highest), "int32")


def roi_align(maps: Mapping[str, Any], boxes: Any, size: int, samples: int = 2) -> Any:
    """Cut the features of boxes out of the levels of a pyramid that suit their sizes.

    A box is divided into `size * size` cells, and of each the mean is taken of
    `samples * samples` points, at which the feature map is interpolated bilinearly; its value at
    index `(i, j)` is that in the middle of a cell of the map, at `(i + 0.5, j + 0.5)` times the
    stride. Points more than one cell outside of the map count as 0.

    This is RoIAlign with `aligned=True` of detectron2 and torchvision, with a fixed number of
    points; detectron2 takes as many as a cell has positions (`sampling_ratio=0`), which has no
    shape that is known beforehand.

    Args:
        maps: Feature maps `(batch, height, width, channels)` by level, such as `"P2"` to `"P5"`.
        boxes: `(batch, boxes, 4)`: left, top, right and bottom in pixels of the image.
        size: Cells on each side.
        samples: Points of a cell on each side.

    Returns:
        Features `(batch, boxes, size, size, channels)`.

    Raises:
        ValueError: `size` or `samples` is below 1, or there is no map.

    Reference:
        He et al., Mask R-CNN, ICCV 2017.

    Example:
        >>> maps = {"P2": ops.ones((1, 8, 8, 3))}
        >>> tuple(roi_align(maps, ops.array([[[4.0, 4.0, 20.0, 20.0]]]), size=7).shape)
        (1, 1, 7, 7, 3)
    """
    if size < 1 or samples < 1 or not maps:
        raise ValueError(
            "roi_align needs a map and at least one cell and sample, got "
            f"{len(maps)} maps, size={size}, samples={samples}"
        )
    # What is no number must not become an index; the features say that something is wrong.
    boxes = finite(ops.convert_to_tensor(boxes, "float32"))
    names = sorted(maps, key=stride)
    numbers = [int(name[1:]) for name in names]
    level = levels_of(boxes, numbers[0], numbers[-1]) - numbers[0]
    shapes = [ops.shape(maps[name])[1:3] for name in names]

    def chosen(values):
        """Return the value of each box's level, `(batch, boxes, 1)`."""
        table = ops.stack([ops.convert_to_tensor(value, "int32") for value in values])
        return ops.take(table, level, axis=0)[..., None]

    sizes = [chosen([shape[axis] for shape in shapes]) for axis in (0, 1)]
    starts = chosen([sum(h * w for h, w in shapes[:k]) for k in range(len(names))])
    scale = ops.cast(chosen([stride(name) for name in names]), "float32")
    y, x = (points(boxes / scale, axis, size * samples) for axis in (1, 0))
    flat = [
        ops.reshape(m, (ops.shape(m)[0], -1, m.shape[-1])) for m in (maps[name] for name in names)
    ]
    found = interpolate(ops.concatenate(flat, axis=1), starts, sizes, y, x)
    batch, count, channels = ops.shape(found)[0], ops.shape(found)[1], found.shape[-1]
    found = ops.reshape(found, (batch, count, size, samples, size, samples, channels))
    return ops.cast(ops.mean(found, axis=(3, 5)), maps[names[0]].dtype)


def finite(values: Any) -> Any:
    """Return values with 0 in place of what is no finite number.

    Example:
        >>> ops.convert_to_numpy(finite(ops.array([1.0, float("nan")]))).tolist()
        [1.0, 0.0]
    """
    return ops.where(ops.isfinite(values), values, 0.0)


def points(boxes: Any, axis: int, count: int) -> Any:
    """Return indices of positions that divide boxes evenly along an axis.

    Args:
        boxes: `(batch, boxes, 4)` in cells of a map, whose first one reaches from 0 to 1.
        axis: 0 for columns, 1 for rows.
        count: Points.

    Returns:
        `(batch, boxes, count)`: the middle of the first cell has the index 0.

    Example:
        >>> ops.convert_to_numpy(points(ops.array([[[0.0, 0, 4, 8]]]), axis=1, count=4)).tolist()
        [[[0.5, 2.5, 4.5, 6.5]]]
    """
    low, high = boxes[..., axis, None], boxes[..., axis + 2, None]
    places = (ops.arange(count, dtype="float32") + 0.5) / count
    return low - 0.5 + (high - low) * places


def interpolate(features: Any, starts: Any, sizes: Any, y: Any, x: Any) -> Any:
    """Return maps at rows and columns of points, interpolated bilinearly.

    Args:
        features: `(batch, positions, channels)`: all positions of all maps of an image, row by row.
        starts: `(batch, boxes, 1)`, int32: the first position of each box's map.
        sizes: Height and width of its map, of the same shape.
        y: `(batch, boxes, rows)`: rows of points, as indices.
        x: `(batch, boxes, columns)`: their columns.

    Returns:
        `(batch, boxes, rows, columns, channels)`, float32; 0 at points more than one cell outside
        the map.
    """
    heights, widths = sizes
    found = 0.0
    for row, in_row in _neighbours(y, heights):
        for column, in_column in _neighbours(x, widths):
            index = starts[..., None] + row[..., :, None] * widths[..., None] + column[..., None, :]
            weight = in_row[..., :, None] * in_column[..., None, :]
            values = ops.cast(_taken(features, index), "float32")
            found = found + values * weight[..., None]
    return found


def _neighbours(coordinates: Any, length: Any) -> list[tuple[Any, Any]]:
    """Return the indices of the two cells around each coordinate, and their weights."""
    last = ops.cast(length - 1, "float32")
    inside = ops.logical_and(coordinates >= -1.0, coordinates <= last + 1.0)
    coordinates = ops.clip(coordinates, 0.0, last)
    low = ops.floor(coordinates)
    far = coordinates - low
    inside = ops.cast(inside, "float32")
    near = ops.cast(low, "int32")
    next_ = ops.minimum(near + 1, length - 1)
    return [(near, (1.0 - far) * inside), (next_, far * inside)]


def _taken(features: Any, index: Any) -> Any:
    """Return the features `(batch, boxes, rows, columns, channels)` of positions."""
    batch, positions = ops.shape(features)[0], ops.shape(features)[1]
    offset = ops.reshape(ops.arange(batch) * positions, (-1, 1, 1, 1))
    every = ops.reshape(features, (-1, features.shape[-1]))
    return ops.take(every, index + ops.cast(offset, "int32"), axis=0)
