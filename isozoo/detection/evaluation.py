"""Average precision as COCO defines it, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from isozoo.detection.coco import CocoImages, coco_masks
from isozoo.detection.pasting import paste
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


def average_precision(
    data: CocoImages, detections: Iterable[Detections]
) -> dict[str, dict[str, float | None]]:
    """Return COCO's twelve numbers for boxes and for masks.

    Args:
        data: The pictures and their objects, crowds among them: what is found in a crowd counts
            neither for nor against.
        detections: What was found in each, in their order.

    Returns:
        By `"box"` and `"mask"`, each of `METRICS` in [0, 1]; None where there is no object of that
        size.

    Raises:
        DataError: There are more or fewer detections than pictures.
        MissingExtraError: pycocotools is not installed.
    """
    results, count = [], 0
    for index, found in enumerate(detections):
        count += 1
        if index < len(data):
            results += coco_results(
                found, data.image_ids[index], data.size(index), data.category_ids
            )
    if count != len(data):
        raise DataError(f"detections of {count} pictures do not go with {len(data)} pictures")
    coco_masks()
    from pycocotools.coco import COCO

    # It prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        # Its types know only files.
        truth: Any = COCO()
        truth.dataset = _complete(data.dataset)
        truth.createIndex()
        # Without results, its loader fails.
        found = truth.loadRes(results) if results else None
        return {kind: _numbers(truth, found, name) for kind, name in KINDS.items()}


def _numbers(truth: Any, found: Any, kind: Any) -> dict[str, float | None]:
    from pycocotools.cocoeval import COCOeval

    if found is None:
        present = any(not annotation.get("iscrowd") for annotation in truth.dataset["annotations"])
        return dict.fromkeys(METRICS, 0.0 if present else None)
    evaluation = COCOeval(truth, found, kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    # COCO says -1 where there is nothing to find.
    values = (float(value) for value in evaluation.stats)
    return dict(zip(METRICS, (None if value < 0 else value for value in values), strict=True))


def _complete(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return annotations with what the evaluation reads and data sets may leave out."""
    annotations = [
        {"iscrowd": 0, "area": annotation["bbox"][2] * annotation["bbox"][3], **annotation, "id": n}
        for n, annotation in enumerate(dataset["annotations"], start=1)
    ]
    return {"info": {}, **dataset, "annotations": annotations}
