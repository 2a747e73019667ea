"""From pictures of any size to objects in their pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from isozoo.detection.evaluation import Detections
from isozoo.detection.pasting import paste
from isozoo.detection.scaling import Scaling, filled
from isozoo.errors import WeightsError


class Detector(Protocol):
    """What finds objects: a `MaskRCNN`."""

    preprocessing: Any
    scaling: Any

    def predict_on_batch(self, inputs: dict[str, Any], /) -> dict[str, Any]:
        """Return what is found in preprocessed images, as arrays."""
        ...


class Found(NamedTuple):
    """One object of a picture.

    Args:
        label: Its class.
        score: Probability in [0, 1].
        box: Left, top, right and bottom in pixels of the picture.
        mask: `(height, width)`, bool: which pixels it covers.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    mask: np.ndarray


def detections(
    model: Detector, pictures: Iterable[np.ndarray], scaling: Scaling | None = None
) -> Iterator[Detections]:
    """Yield what a network finds in pictures, one after another.

    Args:
        model: The network.
        pictures: uint8 arrays `(height, width, 3)`.
        scaling: How large the network sees them; its own if None.

    Raises:
        WeightsError: The network's answer is not finite.
    """
    used: Scaling = scaling or model.scaling
    for pixels in pictures:
        height, width = pixels.shape[:2]
        scaled, ratios = used.scaled(pixels)
        image = filled(model.preprocessing.normalize(scaled), used.shape(height, width))
        inputs = {"images": image[None], "sides": np.array([scaled.shape[:2]], np.float32)}
        # Compiled once for each shape, without gradients.
        answer = _checked(model.predict_on_batch(inputs))
        valid = answer["valid"]
        yield Detections(
            answer["boxes"][valid] / ratios,
            answer["labels"][valid],
            answer["scores"][valid],
            answer["masks"][valid],
        )


def named(found: Detections, size: tuple[int, int], labels: Sequence[str]) -> list[Found]:
    """Return detections with the names of their classes, and masks of the whole picture.

    Args:
        found: What was found in a picture.
        size: Its height and width.
        labels: Name of each class.
    """
    objects = []
    for box, label, score, mask in zip(*found, strict=True):
        left, top, right, bottom = (float(side) for side in box)
        whole = paste(mask, box, *size)
        objects.append(Found(labels[int(label)], float(score), (left, top, right, bottom), whole))
    return objects


def _checked(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the first picture's part of an answer."""
    arrays = {name: np.asarray(value)[0] for name, value in answer.items()}
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise WeightsError(
            "the network's answer is not finite, so no object can be told; check the weights it "
            "was trained to"
        )
    return arrays
