"""Batches of pictures with their objects, the same for the same seed, epoch and step."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras
import numpy as np

from isozoo.data.preprocessing import Preprocessing
from isozoo.detection.samples import DetectionSamples
from isozoo.detection.scaling import Scaling, filled


class DetectionBatches(keras.utils.PyDataset):
    """Batches to train a `MaskRCNN` on, for `fit` on every backend.

    Every epoch has each picture at most once, in a new order; a batch holds pictures of one shape,
    and what is left of a shape and fills no batch is left out. Half of the pictures are mirrored.

    Args:
        samples: The pictures.
        preprocessing: Whose mean and deviation are taken of the pixels.
        scaling: How large pictures become.
        batch_size: Pictures of a batch.
        most: Largest number of objects of a picture; of more, as many are drawn, and the others
            count as background. Training needs memory for as many overlaps with every anchor:
            100 objects of an image of 800 x 1344 take 107 MB for each array of them.
        seed: Decides order, mirrors and draws.
        start: Epoch to begin with.

    Raises:
        ValueError: `batch_size` or `most` is below 1, or there are too few pictures of every shape.

    Example:
        >>> from isozoo.data.preprocessing import IMAGENET
        >>> from isozoo.detection.shapes import DrawnShapes
        >>> batches = DetectionBatches(DrawnShapes(10), IMAGENET, Scaling(64, 64), batch_size=4)
        >>> (inputs,) = batches[0]
        >>> len(batches), inputs["images"].shape, inputs["boxes"].shape
        (2, (4, 64, 64, 3), (4, 100, 4))
    """

    def __init__(
        self,
        samples: DetectionSamples,
        preprocessing: Preprocessing,
        scaling: Scaling,
        batch_size: int = 2,
        most: int = 100,
        seed: int = 0,
        start: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if batch_size < 1 or most < 1:
            raise ValueError(f"batch_size and most must be at least 1, got {batch_size} and {most}")
        self.samples = samples
        self.preprocessing = preprocessing
        self.scaling = scaling
        self.batch_size = batch_size
        self.most = most
        self.seed = seed
        self.epoch = start
        self._order = self._ordered()
        if not self._order:
            raise ValueError(
                f"{len(samples)} pictures make no batch of {batch_size} of one shape; take smaller "
                "batches"
            )

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, step: int) -> tuple[dict[str, np.ndarray]]:
        """Return the inputs of one step, see `MaskRCNN`."""
        rows = [self._row(index) for index in self._order[step]]
        return ({name: np.stack([row[name] for row in rows]) for name in rows[0]},)

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order."""
        self.epoch += 1
        self._order = self._ordered()

    def _ordered(self) -> list[list[int]]:
        """Return the pictures of each batch of the epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        waiting, batches = defaultdict(list), []
        for index in rng.permutation(len(self.samples)):
            group = waiting[self.scaling.shape(*self.samples.size(index))]
            group.append(int(index))
            if len(group) == self.batch_size:
                batches.append(group.copy())
                group.clear()
        return batches

    def _row(self, index: int) -> dict[str, np.ndarray]:
        """Return one picture's part of a batch."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        pixels = self.samples.image(index)
        shape = self.scaling.shape(*pixels.shape[:2])
        pixels, ratios = self.scaling.scaled(pixels)
        boxes, labels, masks = self.samples.objects(index)
        boxes = boxes * ratios
        if rng.random() < 0.5:
            pixels, boxes, masks = mirrored(pixels, boxes, masks)
        if len(boxes) > self.most:
            drawn = rng.choice(len(boxes), self.most, replace=False)
            boxes, labels, masks = boxes[drawn], labels[drawn], masks[drawn]
        missing = self.most - len(boxes)
        return {
            "images": filled(self.preprocessing.normalize(pixels), shape),
            "sides": np.array(pixels.shape[:2], np.float32),
            "boxes": np.pad(boxes, ((0, missing), (0, 0))),
            "labels": np.pad(labels, (0, missing)),
            "masks": np.pad(masks, ((0, missing), (0, 0), (0, 0))),
            "valid": np.arange(self.most) < self.most - missing,
        }


def mirrored(
    pixels: np.ndarray, boxes: np.ndarray, masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture, its boxes and its masks with left and right exchanged.

    Args:
        pixels: `(height, width, channels)`.
        boxes: `(objects, 4)` in pixels.
        masks: `(objects, side, side)`, each in the frame of its box.

    Example:
        >>> pixels, boxes, masks = np.zeros((2, 9, 3)), np.array([[1, 0, 4, 2]]), np.eye(2)[None]
        >>> mirrored(pixels, boxes, masks)[1].tolist()
        [[5, 0, 8, 2]]
    """
    left, top, right, bottom = boxes.T
    width = pixels.shape[1]
    boxes = np.stack([width - right, top, width - left, bottom], axis=-1)
    return pixels[:, ::-1], boxes, masks[..., ::-1]
