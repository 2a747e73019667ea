"""Everything that decides a Mask R-CNN but its backbone and its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from isozoo.detection.anchors import RATIOS, SIZES


class Overlap(NamedTuple):
    """Below `low` a box stands for the background, from `high` on for an object."""

    low: float
    high: float


_OF_ANCHORS = Overlap(0.3, 0.7)
_OF_PROPOSALS = Overlap(0.5, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """What decides a Mask R-CNN; by default detectron2's published values.

    Detectron2 knows no `pairs`, it considers all above `least_score`, and takes as many `samples`
    as a cell has positions: neither has a shape that is known beforehand.

    Args:
        channels: Channels of the feature pyramid and of the mask head.
        anchor_sizes: Side of a square anchor in pixels, as pairs of level and size.
        anchor_ratios: Height by width of the anchors.
        proposal_overlap: What anchors stand for.
        proposal_batch: Anchors of an image that a step learns from.
        proposal_positives: Largest share of them that stand for objects.
        candidates: Best anchors of each level that are considered, in training.
        candidates_detecting: The same, when pictures are looked at.
        proposals: Proposals of an image that are kept.
        proposal_suppression: Overlap from which the worse of two proposals is dropped.
        box_overlap: What proposals stand for.
        box_batch: Proposals of an image that a step learns from.
        box_positives: Largest share of them that stand for objects.
        box_size: Cells on a side of what the box head sees.
        box_units: Units of its hidden layers.
        mask_size: Cells on a side of what the mask head sees; masks have twice as many.
        mask_convolutions: Its convolutions.
        samples: Points on a side of a cell, see `isozoo.detection.roi_align.roi_align`.
        pairs: Pairs of a proposal and a class of an image, the best of which are considered.
        least_score: Probability from which a detection is told, in [0, 1].
        suppression: Overlap from which the worse of two detections of a class is dropped.
        detections: Largest number of detections of an image.

    Raises:
        ValueError: A number is out of its range.

    Reference:
        He et al., Mask R-CNN, ICCV 2017; Lin et al., Feature Pyramid Networks, CVPR 2017; Wu et
        al., Detectron2, 2019.

    Example:
        >>> DetectionSettings(detections=10).proposals
        1000
    """

    channels: int = 256
    anchor_sizes: tuple[tuple[str, float], ...] = tuple(SIZES.items())
    anchor_ratios: tuple[float, ...] = RATIOS
    proposal_overlap: Overlap = _OF_ANCHORS
    proposal_batch: int = 256
    proposal_positives: float = 0.5
    candidates: int = 2000
    candidates_detecting: int = 1000
    proposals: int = 1000
    proposal_suppression: float = 0.7
    box_overlap: Overlap = _OF_PROPOSALS
    box_batch: int = 512
    box_positives: float = 0.25
    box_size: int = 7
    box_units: int = 1024
    mask_size: int = 14
    mask_convolutions: int = 4
    samples: int = 2
    pairs: int = 1000
    least_score: float = 0.05
    suppression: float = 0.5
    detections: int = 100

    def __post_init__(self) -> None:
        """Refuse what no network can be built of."""
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            least = int(field.name != "mask_convolutions")
            if kind is int and value < least:
                raise ValueError(f"{field.name} must be at least {least}, got {value}")
            if kind is float and not 0 <= value <= 1:
                raise ValueError(f"{field.name} must be in [0, 1], got {value}")
            if kind is Overlap and not 0 <= value.low <= value.high <= 1:
                raise ValueError(f"{field.name} must be 0 <= low <= high <= 1, got {tuple(value)}")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> DetectionSettings:
        """Read what `dataclasses.asdict` wrote, lists instead of tuples allowed.

        Raises:
            ValueError: There is no such setting, or a number is out of its range.

        Example:
            >>> DetectionSettings.from_dict({"box_overlap": [0.4, 0.6]}).box_overlap.high
            0.6
        """
        known = {field.name: field.default for field in dataclasses.fields(cls)}
        strange = [name for name in settings if name not in known]
        if strange:
            raise ValueError(f"no such setting: {', '.join(strange)}; there are {', '.join(known)}")
        return cls(**{name: _like(known[name], value) for name, value in settings.items()})


def _like(default: Any, value: Any) -> Any:
    """Return a value in the form of a default."""
    if isinstance(default, Overlap):
        return Overlap(*value)
    if isinstance(default, tuple):
        return tuple(tuple(part) if isinstance(part, (list, tuple)) else part for part in value)
    return value
