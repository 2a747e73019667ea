"""Geometry of detection from its definition, one box after another, in float64."""

import numpy as np


def iou(a, b):
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = np.prod(np.maximum(sides, 0))
    areas = [np.prod(np.maximum(box[2:] - box[:2], 0)) for box in (a, b)]
    return common / (sum(areas) - common) if common else 0.0


def suppress(boxes, scores, threshold, outputs, classes, valid):
    """Greedy suppression."""
    kept = []
    for i in sorted(np.flatnonzero(valid), key=lambda i: (-scores[i], i)):
        rivals = [j for j in kept if classes is None or classes[i] == classes[j]]
        if all(iou(boxes[i], boxes[j]) <= threshold for j in rivals):
            kept.append(i)
    return kept[:outputs]


def value_at(features, y, x):
    """Bilinear interpolation as torchvision's `roi_align` has it."""
    height, width = features.shape[:2]
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(features.shape[-1])
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = int(y), int(x)
    if top >= height - 1:
        top = bottom = height - 1
        y = float(top)
    else:
        bottom = top + 1
    if left >= width - 1:
        left = right = width - 1
        x = float(left)
    else:
        right = left + 1
    down, across = y - top, x - left
    return (
        features[top, left] * (1 - down) * (1 - across)
        + features[top, right] * (1 - down) * across
        + features[bottom, left] * down * (1 - across)
        + features[bottom, right] * down * across
    )


def roi_align(features, box, scale, size, samples):
    """Features of one box of one map of a stride, `(size, size, channels)`."""
    left, top, right, bottom = (side / scale - 0.5 for side in box)
    high, wide = (bottom - top) / size, (right - left) / size
    found = np.zeros((size, size, features.shape[-1]))
    for i in range(size):
        for j in range(size):
            points = [
                value_at(
                    features,
                    top + high * (i + (p + 0.5) / samples),
                    left + wide * (j + (q + 0.5) / samples),
                )
                for p in range(samples)
                for q in range(samples)
            ]
            found[i, j] = np.mean(points, axis=0)
    return found


def level(box, lowest, highest):
    """The pyramid level of a box."""
    side = np.sqrt(np.prod(box[2:] - box[:2]))
    return int(np.clip(np.floor(4 + np.log2(side / 224 + 1e-8)), lowest, highest))


def match(boxes, objects, valid, low, high, best_of_each):
    """Which object each box stands for, and as what, as detectron2's `Matcher` has it."""
    overlaps = np.array(
        [[iou(box, o) if v else -1 for o, v in zip(objects, valid, strict=True)] for box in boxes]
    )
    largest = overlaps.max(axis=1)
    labels = np.where(largest >= high, 1, np.where(largest < low, 0, -1))
    if best_of_each:
        for column in overlaps.T:
            if column.max() > 0:
                labels[column == column.max()] = 1
    return overlaps.argmax(axis=1), labels
