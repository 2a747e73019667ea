"""Pictures with objects, wherever they are from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

#: Pixels on a side of the masks that are trained on, each as large as its object's box.
MASK_SIDE = 56


class Annotations(NamedTuple):
    """The objects of one picture.

    Args:
        boxes: `(objects, 4)`, float32: left, top, right and bottom in pixels.
        labels: `(objects,)`, int32: indices of `CocoImages.classes`.
        masks: `(objects, MASK_SIDE, MASK_SIDE)`, uint8, 0 or 1: each in the frame of its box.
    """

    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


class DetectionSamples(Protocol):
    """Pictures with objects, such as `isozoo.detection.coco.CocoImages`."""

    def __len__(self) -> int: ...

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of a picture."""
        ...

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of a picture."""
        ...

    def objects(self, index: int) -> Annotations:
        """Return the objects of a picture."""
        ...
