"""Detection and instance segmentation on isozoo backbones: feature pyramid and Mask R-CNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.detection.batches import DetectionBatches
    from isozoo.detection.coco import CocoImages
    from isozoo.detection.detecting import Found, detections
    from isozoo.detection.evaluation import Detections, average_precision
    from isozoo.detection.mask_rcnn import MaskRCNN
    from isozoo.detection.scaling import Scaling
    from isozoo.detection.settings import DetectionSettings
    from isozoo.detection.shapes import DrawnShapes

_HOME = {
    "CocoImages": ".coco",
    "DetectionBatches": ".batches",
    "DetectionSettings": ".settings",
    "Detections": ".evaluation",
    "DrawnShapes": ".shapes",
    "Found": ".detecting",
    "MaskRCNN": ".mask_rcnn",
    "Scaling": ".scaling",
    "average_precision": ".evaluation",
    "detections": ".detecting",
}

__all__ = [
    "CocoImages",
    "DetectionBatches",
    "DetectionSettings",
    "Detections",
    "DrawnShapes",
    "Found",
    "MaskRCNN",
    "Scaling",
    "average_precision",
    "detections",
]

__getattr__, __dir__ = later(__name__, _HOME)
