"""Accuracy on a data set, measured as the published figures are."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Protocol

import numpy as np
from keras import ops

from isozoo.data import open_split
from isozoo.data.damage import Damage, SoundImages
from isozoo.data.labels import labels_of
from isozoo.data.samples import Samples
from isozoo.data.streams import streams
from isozoo.errors import DataError
from isozoo.models.predictions import check_logits
from isozoo.models.provenance import Provenance
from isozoo.zoo import catalog


class Network(Protocol):
    """What can be measured: a `Classifier`, or one that was exported."""

    labels: Any
    data_format: Any
    preprocessing: Any
    architecture: Any
    provenance: Any

    def __call__(self, images: Any, /, *, training: bool = False) -> Any:
        """Return the logits of preprocessed images."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Reported against measured top-1 accuracy.

    Args:
        name: Name or folder of the weights.
        images: Images measured on.
        reported: Top-1 accuracy in [0, 1] that the weights folder states for a data set with
            these classes, or else that the authors of released weights do; None if nobody does.
        measured: Top-1 accuracy in [0, 1].
        metrics: All that was measured.
        tolerance: Largest difference that counts as equal.
    """

    name: str
    images: int
    reported: float | None
    measured: float
    metrics: dict[str, float]
    tolerance: float

    @property
    def within_tolerance(self) -> bool:
        """Whether the measurement agrees with the report, if there is one."""
        return self.reported is None or abs(self.reported - self.measured) <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the verdict as JSON-ready values."""
        return {**dataclasses.asdict(self), "within_tolerance": self.within_tolerance}


def measure(model: Network, samples: Samples, batch_size: int = 64) -> dict[str, float]:
    """Return accuracy and cross-entropy of a classifier on images with known classes.

    Args:
        model: The classifier; its own preprocessing is used.
        samples: Images and labels, numbered as the classifier's classes.
        batch_size: Images computed at once.

    Returns:
        `top1` and `top5` in [0, 1], the mean `cross_entropy` in nats, and the number of `images`.

    Raises:
        WeightsError: A logit is NaN or infinite.
        ImageError: A picture is damaged; the message names its file.
    """
    with streams().errors():
        return _measured(model, samples, batch_size)


def _measured(model: Network, samples: Samples, batch_size: int) -> dict[str, float]:
    ranks, losses = [], []
    for images, labels in streams().evaluation(samples, model.preprocessing, batch_size):
        images, labels = np.asarray(images), np.asarray(labels)
        if model.data_format == "channels_first":
            images = images.transpose(0, 3, 1, 2)
        logits = ops.convert_to_numpy(model(images, training=False)).astype("float64")
        check_logits(logits, "its accuracy cannot be measured")
        right = logits[np.arange(len(labels)), labels]
        # Ties go to the lower class, as in `classify`: equal logits must not all count as right.
        before = np.arange(logits.shape[1]) < labels[:, None]
        ahead = (logits > right[:, None]) | ((logits == right[:, None]) & before)
        ranks.append(ahead.sum(axis=1))
        peak = logits.max(axis=1, keepdims=True)
        losses.append(np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0] - right)
    rank = np.concatenate(ranks)
    return {
        "top1": round(float((rank < 1).mean()), 6),
        "top5": round(float((rank < 5).mean()), 6),
        "cross_entropy": round(float(np.concatenate(losses).mean()), 6),
        "images": len(rank),
    }


def evaluate(
    name: str | os.PathLike[str],
    data: str | os.PathLike[str],
    split: str = "val",
    tolerance: float = 0.002,
    network: Network | None = None,
    max_damaged: int = 0,
) -> Evaluation:
    """Measure pretrained weights on a data set and compare with what they claim.

    Args:
        name: Name in the zoo or weights folder.
        data: What `isozoo.data.open_split` takes, such as a folder or tar of `<split>/<class>/*`.
        split: Which split to measure.
        tolerance: Largest difference in top-1 accuracy that counts as equal.
        network: What is measured under that name, such as an exported network; the weights in Keras
            if None.
        max_damaged: How many damaged images may be left out, each with a warning.

    Returns:
        The comparison.

    Raises:
        DataError: The data set has other classes than the classifier.
        ImageError: More images are damaged than may be left out.
        WeightsError: The weights cannot be loaded.
    """
    from isozoo.zoo.loading import load

    model = load(name) if network is None else network
    samples = open_split(data, split)
    found = labels_of(samples.classes)
    if found != model.labels:
        raise DataError(
            f"{data} has the classes {', '.join(found[:5])}...; {name} was trained on "
            f"{', '.join(model.labels[:5])}...: measure it on a data set of its own classes"
        )
    metrics = measure(model, SoundImages(samples, Damage(max_damaged, split)))
    return Evaluation(
        str(name),
        int(metrics["images"]),
        _reported(model),
        metrics["top1"],
        metrics,
        tolerance,
    )


def _reported(model: Network) -> float | None:
    """Return the top-1 accuracy that the folder states, or that the authors of its weights do."""
    known: Provenance | None = model.provenance
    if known is None:
        return None
    if "top1" in known.metrics:
        return known.metrics["top1"]
    name = known.full_name(model.architecture)
    if name in catalog.list_models(pretrained=True):
        return catalog.info(name).reported.get("top1")
    return None
