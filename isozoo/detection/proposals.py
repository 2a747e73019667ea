"""The proposal network: where in a picture there may be an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import ops

from isozoo.detection.boxes import decode
from isozoo.detection.roi_align import finite
from isozoo.detection.settings import DetectionSettings
from isozoo.detection.suppression import suppress

#: Offsets of proposals are not scaled.
VARIANCE = (1.0, 1.0, 1.0, 1.0)


class Scored(NamedTuple):
    """What the proposal network says of the anchors of a level, or of all.

    Args:
        logits: `(batch, anchors)`: whether there is an object.
        offsets: `(batch, anchors, 4)`: where it is, see `isozoo.detection.boxes.encode`.
    """

    logits: Any
    offsets: Any


class Proposals(NamedTuple):
    """Boxes in which there may be an object.

    Args:
        boxes: `(batch, proposals, 4)` in pixels, the most probable first.
        valid: `(batch, proposals)`, bool: where there is one.
    """

    boxes: Any
    valid: Any


@keras.saving.register_keras_serializable(package="isozoo")
class ProposalHead(keras.layers.Layer):
    """Says of every anchor whether there is an object, and where; the same for every level.

    A 3x3 convolution with ReLU, and a 1x1 convolution each for logits and offsets.

    Args:
        channels: Channels of the maps.
        anchors: Anchors of one position.

    Call arguments:
        maps: Feature maps `(batch, height, width, channels)` by level.

    Returns:
        `Scored` by level, in the order of `isozoo.detection.anchors.anchors`.

    Reference:
        Ren et al., Faster R-CNN, NeurIPS 2015.
    """

    def __init__(self, channels: int, anchors: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = channels
        self.anchors = anchors
        normal = keras.initializers.RandomNormal(stddev=0.01)

        def convolution(filters: int, side: int, name: str, activation: str | None, dtype: Any):
            return keras.layers.Conv2D(
                filters, side, padding="same", activation=activation,
                kernel_initializer=normal.clone(), dtype=dtype, name=name,
            )  # fmt: skip

        self.shared = convolution(channels, 3, "shared", "relu", self.dtype_policy)
        # As in the heads, what is compared and decoded is not rounded.
        self.objectness = convolution(anchors, 1, "objectness", None, "float32")
        self.offsets = convolution(4 * anchors, 1, "offsets", None, "float32")

    def build(self, input_shape: Mapping[str, tuple[int | None, ...]]) -> None:
        """Make the weights."""
        shape = next(iter(input_shape.values()))
        for layer in (self.shared, self.objectness, self.offsets):
            layer.build(shape)
            shape = (*shape[:-1], self.channels)
        self.built = True

    def call(self, maps: Mapping[str, Any]) -> dict[str, Scored]:
        """Return what is said of the anchors of each level."""
        return {level: self._scored(features) for level, features in maps.items()}

    def _scored(self, features: Any) -> Scored:
        hidden = self.shared(features)
        batch = ops.shape(features)[0]
        logits = ops.reshape(self.objectness(hidden), (batch, -1))
        offsets = ops.reshape(self.offsets(hidden), (batch, -1, 4))
        return Scored(logits, offsets)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "anchors": self.anchors}


def propose(
    scored: Mapping[str, Scored],
    anchors: Mapping[str, Any],
    sides: Any,
    candidates: int,
    settings: DetectionSettings,
) -> Proposals:
    """Choose the boxes that later stages look at; no gradient flows through the choice.

    Of each level the best `candidates` are taken, cut to the picture and suppressed among
    themselves; of what is left of all levels, the best `settings.proposals` are kept.

    Args:
        scored: By level, what the proposal network said.
        anchors: By level, `(anchors, 4)`.
        sides: `(batch, 2)`: height and width of each picture without what it was filled up with.
        candidates: Candidates of each level.
        settings: The rest.

    Returns:
        The proposals.
    """
    found = [
        _of_level(scored[level], anchors[level], sides, candidates, settings) for level in scored
    ]
    logits, boxes = (ops.concatenate(part, axis=1) for part in zip(*found, strict=True))
    best, order = ops.top_k(logits, min(settings.proposals, logits.shape[1]))
    boxes = ops.take_along_axis(boxes, ops.cast(order, "int32")[..., None], axis=1)
    return Proposals(ops.stop_gradient(boxes), best > _NEVER)


#: Logit of what is no proposal.
_NEVER = -1e30


def _of_level(
    scored: Scored, anchors: Any, sides: Any, candidates: int, settings: DetectionSettings
) -> tuple[Any, Any]:
    """Return logits and boxes of what is left of a level; `_NEVER` where there is nothing."""
    logits, offsets = (ops.stop_gradient(value) for value in scored)
    count = min(candidates, anchors.shape[0])
    logits, order = ops.top_k(logits, count)
    order = ops.cast(order, "int32")
    offsets = ops.take_along_axis(offsets, order[..., None], axis=1)
    around = ops.take(ops.convert_to_tensor(anchors, "float32"), order, axis=0)
    boxes = clip(finite(decode(offsets, around, VARIANCE)), sides)
    there = ops.logical_and(ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1), logits > _NEVER)
    outputs = min(settings.proposals, count)
    kept = suppress(boxes, logits, settings.proposal_suppression, outputs, valid=there)
    logits = ops.take_along_axis(logits, kept.indices, axis=1)
    boxes = ops.take_along_axis(boxes, kept.indices[..., None], axis=1)
    return ops.where(kept.valid, logits, _NEVER), boxes


def clip(boxes: Any, sides: Any) -> Any:
    """Return boxes `(batch, boxes, 4)` cut to pictures of `sides` `(batch, 2)`, height and width.

    Example:
        >>> boxes = clip(ops.array([[[-2.0, 1, 9, 7]]]), ops.array([[5.0, 8]]))
        >>> ops.convert_to_numpy(boxes).tolist()
        [[[0.0, 1.0, 8.0, 5.0]]]
    """
    height, width = sides[:, None, :1], sides[:, None, 1:]
    limits = ops.cast(ops.concatenate([width, height, width, height], axis=-1), boxes.dtype)
    return ops.minimum(ops.maximum(boxes, 0.0), limits)
