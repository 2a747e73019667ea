"""Mask R-CNN on a backbone of isozoo."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.data.labels import distinct_labels
from isozoo.data.pictures import pictures_of
from isozoo.data.preprocessing import IMAGENET, Preprocessing
from isozoo.detection.anchors import anchors
from isozoo.detection.boxes import decode
from isozoo.detection.detecting import Found, detections, named
from isozoo.detection.heads import box_head, mask_head, of_boxes
from isozoo.detection.losses import box_losses, mask_loss, of_class, proposal_losses
from isozoo.detection.proposals import ProposalHead, Proposals, Scored, clip, propose
from isozoo.detection.pyramid import LEVELS, feature_pyramid
from isozoo.detection.roi_align import finite, roi_align
from isozoo.detection.scaling import DIVISOR, Scaling
from isozoo.detection.settings import DetectionSettings
from isozoo.detection.suppression import suppress
from isozoo.detection.targets import Objects, box_targets, mask_targets, proposal_targets
from isozoo.models.adapting import split_classes
from isozoo.models.backbone import Backbone
from isozoo.models.predictions import as_list

LOSSES = ("objectness", "proposal_offsets", "classes", "box_offsets", "masks")


def _sound(maps: Mapping[str, Any]) -> Any:
    """Return whether the maps of each picture are finite, `(batch, 1)`.

    What is not vanishes in choices and comparisons, and must not look as if nothing was found.
    """
    finite_maps = [ops.all(ops.isfinite(x), axis=(1, 2, 3)) for x in maps.values()]
    return ops.all(ops.stack(finite_maps), axis=0)[:, None]


@functools.lru_cache(maxsize=8)
def _anchors(
    shapes: tuple[tuple[str, tuple[int, int]], ...], settings: DetectionSettings
) -> dict[str, Any]:
    return anchors(dict(shapes), dict(settings.anchor_sizes), settings.anchor_ratios)


@keras.saving.register_keras_serializable(package="isozoo")
class MaskRCNN(keras.Model):
    """Finds objects in pictures: their classes, boxes and masks.

    Args:
        backbone: The encoder, with stages of strides 4 to 32, channels last.
        classes: Names of the classes, distinct, or their number.
        settings: What decides the rest of the network, or a mapping of it; detectron2's values by
            default.
        preprocessing: Whose mean and deviation pictures are normalised by.
        scaling: How large pictures become, or a mapping of it.

    Call arguments:
        inputs: Preprocessed images `(batch, height, width, channels)`, sides multiples of 32, or a
            mapping with `images` and `sides` `(batch, 2)`: height and width of each without what
            it was filled up with at the right and below. In training also with `boxes` `(batch,
            objects, 4)`, `labels` `(batch, objects)`, `masks` `(batch, objects, side, side)` and
            `valid` `(batch, objects)`, as in `isozoo.detection.targets.Objects`.

    Where it differs from detectron2: see `DetectionSettings` and
    `isozoo.detection.scaling.Scaling`; pictures without objects are trained on, too; nothing is
    frozen but what `backbone.freeze` freezes, and batch normalisation is trained unless it is; a
    detection needs at least the least score, not more.

    Returns:
        A mapping. Of what was found: `boxes` `(batch, detections, 4)` in pixels of the images,
        `labels`, `scores` and `valid` `(batch, detections)`, the best first, and `masks`
        `(batch, detections, side, side)`, the probabilities that positions of the boxes belong to
        the objects. In training, the five losses as scalars; their sum is the model's loss.

    Raises:
        ValueError: The backbone lacks a stage or is channels first, `classes` is below 1, or the
            sides of images are not known beforehand or no multiples of 32.

    Reference:
        He et al., Mask R-CNN, ICCV 2017.

    Example:
        >>> import isozoo, numpy
        >>> backbone = isozoo.create("r-isonet-18-w32").backbone
        >>> model = MaskRCNN(backbone, 2, DetectionSettings(channels=8, box_units=8, detections=5))
        >>> found = model(numpy.zeros((1, 64, 64, 3), "float32"))
        >>> tuple(found["boxes"].shape), tuple(found["masks"].shape)
        ((1, 5, 4), (1, 5, 28, 28))
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int | Sequence[str],
        settings: DetectionSettings | Mapping[str, Any] | None = None,
        *,
        preprocessing: Preprocessing | Mapping[str, Any] = IMAGENET,
        scaling: Scaling | Mapping[str, Any] | None = None,
        name: str | None = None,
    ):
        # Boxes must not be rounded to the precision that images are computed in.
        super().__init__(name=name or "mask_rcnn", autocast=False)
        count, labels = split_classes(classes)
        if count < 1:
            raise ValueError(f"classes must be at least 1, got {count}")
        if not isinstance(settings, DetectionSettings):
            settings = DetectionSettings.from_dict(settings or {})
        if not isinstance(preprocessing, Preprocessing):
            preprocessing = Preprocessing.from_dict(preprocessing)
        if not isinstance(scaling, Scaling):
            scaling = Scaling(**scaling or {})
        if preprocessing.channels != backbone.architecture.channels:
            raise ValueError(
                f"preprocessing makes images of {preprocessing.channels} channels, the backbone "
                f"takes {backbone.architecture.channels}; give preprocessing.with_channels(...)"
            )
        self.dtype_policy = policy = backbone.dtype_policy
        self.backbone = backbone
        self.classes = count
        self.labels = distinct_labels(labels or [str(number) for number in range(count)])
        self.settings = settings
        self.preprocessing = preprocessing
        self.scaling = scaling
        self.pyramid = feature_pyramid(backbone, settings.channels)
        self.proposal_head = ProposalHead(
            settings.channels, len(settings.anchor_ratios), dtype=policy, name="proposal_head"
        )
        self.proposal_head.build({level: x.shape for level, x in self.pyramid.output.items()})
        self.box_head = box_head(count, settings, policy)
        self.mask_head = mask_head(count, settings, policy)
        self.seed = keras.random.SeedGenerator()
        self.loss_means = [keras.metrics.Mean(name=name) for name in LOSSES]
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return what is found, or in training the losses."""
        if not isinstance(inputs, Mapping):
            inputs = {"images": inputs}
        images = inputs["images"]
        height, width = self._sides(images)
        sides = inputs.get("sides")
        if sides is None:
            sides = ops.tile([[height, width]], [ops.shape(images)[0], 1])
        maps = self.pyramid(images, training=training)
        scored = self.proposal_head(maps)
        shapes = {level: features.shape[1:3] for level, features in maps.items()}
        around = _anchors(tuple(shapes.items()), self.settings)
        maps = {level: maps[level] for level in LEVELS}
        sides = ops.cast(sides, "float32")
        count = self.settings.candidates if training else self.settings.candidates_detecting
        proposals = propose(scored, around, sides, count, self.settings)
        if not training:
            return self._found(maps, proposals, sides)
        objects = Objects(*(inputs[name] for name in Objects._fields))
        losses = self._proposal_losses(scored, around, objects)
        losses |= self._head_losses(maps, proposals, objects)
        self.add_loss(sum(losses.values()))
        return losses

    def _sides(self, images: Any) -> tuple[int, int]:
        """Return height and width, checked."""
        height, width = images.shape[1:3]
        if height is None or width is None or height % DIVISOR or width % DIVISOR:
            raise ValueError(
                f"sides of images must be multiples of {DIVISOR} that are known beforehand, got "
                f"height {height} and width {width}; fill the images up with zeros"
            )
        return height, width

    def _proposal_losses(
        self, scored: Mapping[str, Scored], around: Mapping[str, Any], objects: Objects
    ) -> dict[str, Any]:
        every = ops.concatenate([ops.convert_to_tensor(around[level]) for level in scored], axis=0)
        targets = proposal_targets(every, objects, self.settings, self.seed)
        parts = zip(*scored.values(), strict=True)
        joined = Scored(*(ops.concatenate(part, axis=1) for part in parts))
        return proposal_losses(joined, targets, self.settings.proposal_batch)

    def _head_losses(
        self, maps: Mapping[str, Any], proposals: Proposals, objects: Objects
    ) -> dict[str, Any]:
        settings = self.settings
        targets = box_targets(proposals, objects, self.classes, settings, self.seed)
        features = roi_align(maps, targets.boxes, settings.box_size, settings.samples)
        losses = box_losses(of_boxes(self.box_head, features), targets)
        # Those of objects come first.
        few = max(1, int(targets.boxes.shape[1] * settings.box_positives))
        targets = keras.tree.map_structure(lambda value: value[:, :few], targets)
        features = roi_align(maps, targets.boxes, settings.mask_size, settings.samples)
        logits = ops.moveaxis(of_boxes(self.mask_head, features), -1, 2)
        masks = mask_targets(targets.boxes, targets.objects, objects, logits.shape[-1])
        return losses | mask_loss(of_class(logits, targets), masks, targets.drawn.positive)

    def _found(self, maps: Mapping[str, Any], proposals: Proposals, sides: Any) -> dict[str, Any]:
        """Return the detections; scores are NaN where the features are not finite."""
        settings = self.settings
        features = roi_align(maps, proposals.boxes, settings.box_size, settings.samples)
        said = of_boxes(self.box_head, features)
        # The background is no class to be found.
        scores = (
            ops.softmax(said["logits"])[..., :-1] * ops.cast(proposals.valid, "float32")[..., None]
        )
        pairs = ops.reshape(scores, (ops.shape(scores)[0], -1))
        count = min(settings.pairs, scores.shape[1] * self.classes)
        scores, order = ops.top_k(pairs, count)
        order = ops.cast(order, "int32")
        which, labels = order // self.classes, order % self.classes
        offsets = ops.reshape(said["offsets"], (ops.shape(scores)[0], -1, 4))
        offsets = ops.take_along_axis(offsets, order[..., None], axis=1)
        boxes = ops.take_along_axis(proposals.boxes, which[..., None], axis=1)
        boxes = clip(finite(decode(offsets, boxes)), sides)
        there = ops.logical_and(
            scores >= settings.least_score, ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        )
        kept = suppress(boxes, scores, settings.suppression, settings.detections, labels, there)
        boxes = ops.take_along_axis(boxes, kept.indices[..., None], axis=1)
        labels = ops.take_along_axis(labels, kept.indices, axis=1)
        scores = ops.take_along_axis(scores, kept.indices, axis=1)
        return {
            "boxes": boxes,
            "labels": labels,
            "scores": ops.where(_sound(maps), ops.where(kept.valid, scores, 0.0), float("nan")),
            "valid": kept.valid,
            "masks": self._masks(maps, boxes, labels),
        }

    def _masks(self, maps: Mapping[str, Any], boxes: Any, labels: Any) -> Any:
        """Return the masks of the classes that were found."""
        features = roi_align(maps, boxes, self.settings.mask_size, self.settings.samples)
        logits = ops.moveaxis(of_boxes(self.mask_head, features), -1, 2)
        own = ops.take_along_axis(logits, labels[..., None, None, None], axis=2)
        return ops.sigmoid(ops.squeeze(own, axis=2))

    def detect(self, images: Any) -> list[list[Found]]:
        """Find objects in pictures, preprocessing included.

        Args:
            images: One picture or a sequence of them, as for `Classifier.classify`.

        Returns:
            For each picture, its objects as `Found(label, score, box, mask)`, the most probable
            first; boxes and masks are in the picture's own pixels.

        Raises:
            ImageError: A picture cannot be read; the message names it.
            WeightsError: The network's answer is not finite.
        """
        channels = self.preprocessing.channels
        pictures = [
            np.dstack([np.asarray(part) for part in pictures_of(image, channels)])
            for image in as_list(images)
        ]
        return [
            named(found, pixels.shape[:2], self.labels)
            for pixels, found in zip(pictures, detections(self, pictures), strict=True)
        ]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the sum of the losses and of the penalties on weights.

        Raises:
            ValueError: What is computed is a validation, which has no losses.
        """
        if not training:
            raise ValueError(
                "a MaskRCNN has no losses but in training; measure it with "
                "isozoo.detection.evaluation.average_precision instead of evaluate() or "
                "validation_data"
            )
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """Return the means of the losses so far."""
        for mean in self.loss_means:
            mean.update_state(y_pred[mean.name])
        return self.get_metrics_result()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "classes": list(self.labels),
            "settings": dataclasses.asdict(self.settings),
            "preprocessing": self.preprocessing.to_dict(),
            "scaling": dataclasses.asdict(self.scaling),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> MaskRCNN:
        """Build the model from `get_config`'s result."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(**config | {"backbone": backbone})
