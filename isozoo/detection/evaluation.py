"""Average precision as COCO defines it, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from isozoo.detection.coco import coco_masks
from isozoo.detection.pasting import paste
from isozoo.detection.samples import DetectionSamples
from isozoo.errors import DataError

#: COCO's twelve numbers in its order: precision at overlaps and sizes, recall at numbers of
#: detections and sizes.
METRICS = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
#: What is compared: COCO's name by ours.
KINDS = {"box": "bbox", "mask": "segm"}


class Detections(NamedTuple):
    """What was found in one picture, in its own pixels.

    Args:
        boxes: `(detections, 4)`: left, top, right and bottom.
        labels: `(detections,)`: indices of classes.
        scores: `(detections,)` in [0, 1].
        masks: `(detections, side, side)`: probabilities, each in the frame of its box.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    masks: np.ndarray


def coco_results(
    detections: Detections, image_id: int, size: tuple[int, int], category_ids: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Return detections as COCO's result file has them, masks as compressed run lengths.

    Args:
        detections: What was found.
        image_id: COCO's number of the picture.
        size: Its height and width.
        category_ids: COCO's number of each class.
    """
    tools = coco_masks()
    results = []
    for box, label, score, mask in zip(*detections, strict=True):
        left, top, right, bottom = (float(side) for side in box)
        runs = tools.encode(np.asfortranarray(paste(mask, box, *size).astype(np.uint8)))
        results.append(
            {
                "image_id": int(image_id),
                "category_id": int(category_ids[label]),
                "bbox": [left, top, right - left, bottom - top],
                "score": float(score),
                "segmentation": {"size": list(size), "counts": runs["counts"].decode("ascii")},
            }
        )
    return results


class Truth(Protocol):
    """What detections are compared with: `CocoImages`, or other pictures by `as_coco`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def category_ids(self) -> tuple[int, ...]:
        """COCO's number of each class."""
        ...

    @property
    def image_ids(self) -> tuple[int, ...]:
        """COCO's number of each picture."""
        ...

    @property
    def dataset(self) -> Mapping[str, Any]:
        """The content of an annotation file."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of a picture."""
        ...


def average_precision(
    data: Truth, detections: Iterable[Detections], labels: Sequence[str] | None = None
) -> dict[str, dict[str, float | None]]:
    """Return COCO's twelve numbers for boxes and for masks.

    Args:
        data: The pictures and their objects, crowds among them: what is found in a crowd counts
            neither for nor against.
        detections: What was found in each, in their order.
        labels: Names of the classes that were found, to be compared with those of the pictures.

    Returns:
        By `"box"` and `"mask"`, each of `METRICS` in [0, 1]; None where there is no object of that
        size.

    Raises:
        DataError: There are more or fewer detections than pictures, or the classes are others.
        MissingExtraError: pycocotools is not installed.
    """
    if labels is not None and tuple(labels) != data.classes:
        raise DataError(
            f"what was found has the classes {', '.join(labels[:5])}..., the pictures have "
            f"{', '.join(data.classes[:5])}...; their order counts, too"
        )
    results, count = [], 0
    for index, found in enumerate(detections):
        count += 1
        if index < len(data.image_ids):
            results += coco_results(
                found, data.image_ids[index], data.size(index), data.category_ids
            )
    if count != len(data.image_ids):
        raise DataError(
            f"detections of {count} pictures do not go with {len(data.image_ids)} pictures"
        )
    coco_masks()
    from pycocotools.coco import COCO

    # It prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        # Its types know only files.
        truth: Any = COCO()
        truth.dataset = _complete(data.dataset)
        truth.createIndex()
        return {kind: _numbers(truth, results, kind) for kind in KINDS}


def _numbers(truth: Any, results: list[dict[str, Any]], kind: str) -> dict[str, float | None]:
    from pycocotools.cocoeval import COCOeval

    if kind == "mask":
        # With a box, the loader would take the box's area for the mask's.
        results = [{k: v for k, v in result.items() if k != "bbox"} for result in results]
    # Without results, its loader fails: then something that is nowhere was found.
    found = truth.loadRes(results or [_nothing(truth, kind)])
    name: Any = KINDS[kind]
    evaluation = COCOeval(truth, found, name)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    # COCO says -1 where there is nothing to find.
    values = (float(value) for value in evaluation.stats)
    return dict(zip(METRICS, (None if value < 0 else value for value in values), strict=True))


def _nothing(truth: Any, kind: str) -> dict[str, Any]:
    """Return a detection without an extent."""
    image = truth.dataset["images"][0]
    tools = coco_masks()
    empty = tools.encode(np.zeros((image["height"], image["width"]), np.uint8, order="F"))
    where = {"segmentation": empty} if kind == "mask" else {"bbox": [0.0, 0.0, 0.0, 0.0]}
    category = truth.dataset["categories"][0]["id"]
    return {"image_id": image["id"], "category_id": category, "score": 0.0, **where}


def as_coco(samples: DetectionSamples, classes: Sequence[str]) -> dict[str, Any]:
    """Return pictures with objects as the content of a COCO annotation file.

    Args:
        samples: The pictures, numbered from 1 on.
        classes: Names of the classes, numbered from 1 on.

    Raises:
        MissingExtraError: pycocotools is not installed.
    """
    images, annotations = [], []
    for index in range(len(samples)):
        height, width = samples.size(index)
        images.append({"id": index + 1, "height": height, "width": width, "file_name": ""})
        boxes, labels, masks = samples.objects(index)
        truth = Detections(boxes, labels, np.ones(len(boxes)), masks)
        category_ids = tuple(range(1, len(classes) + 1))
        for result in coco_results(truth, index + 1, (height, width), category_ids):
            area = float(coco_masks().area(result["segmentation"]))
            annotations.append(result | {"id": len(annotations) + 1, "area": area, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _complete(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return annotations with what the evaluation reads and data sets may leave out."""
    annotations = [
        {"iscrowd": 0, "area": annotation["bbox"][2] * annotation["bbox"][3], **annotation, "id": n}
        for n, annotation in enumerate(dataset["annotations"], start=1)
    ]
    return {"info": {}, **dataset, "annotations": annotations}
