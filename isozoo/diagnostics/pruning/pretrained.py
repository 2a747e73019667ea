"""Pretrained weights without some of their filters, on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isozoo.data import open_split
from isozoo.data.labels import labels_of
from isozoo.data.samples import Samples
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.pruning.study import (
    FineTuning,
    PruningReport,
    prune_classifier,
    pruning_cost,
)
from isozoo.diagnostics.subject import draw
from isozoo.errors import DataError

#: The file that the smaller model is written to.
MODEL = "pruned.keras"


class Part:
    """Some images of a data set.

    Args:
        samples: All images.
        numbers: Those that are in it.
    """

    def __init__(self, samples: Samples, numbers: np.ndarray) -> None:
        self._samples = samples
        self._numbers = numbers
        self.classes: tuple[str, ...] = samples.classes
        self.labels: np.ndarray = samples.labels[numbers]

    def __len__(self) -> int:
        return len(self._numbers)

    def image(self, index: int) -> np.ndarray:
        """Return the pixels of one image."""
        return self._samples.image(int(self._numbers[index]))


def prune_pretrained(
    name: str | os.PathLike[str],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    share: float = 0.1,
    by: str = "entropy",
    *,
    tied: bool = False,
    images: int = 1000,
    tuning: FineTuning | None = None,
    announce: Callable[[Cost], None] = lambda cost: None,
) -> PruningReport:
    """Write a smaller network made of pretrained weights, with what that cost.

    Args:
        name: Name in the zoo or weights folder.
        data: What `isozoo.data.open_split` takes; filters are measured on its split `train`, on
            which the smaller network is trained on, accuracies on `val`.
        out: Folder for `pruned.keras`, which `keras.saving.load_model` reads once isozoo is
            imported, and the report's numbers and picture.
        share: As for `prune_classifier`, like `by`, `tied` and `tuning`.
        by: As there.
        tied: As there.
        images: At most how many images of each split to look at; training on sees all.
        tuning: As there.
        announce: Is told what it will cost, before it begins.

    Raises:
        DataError: The data set has other classes than the network.
        DiagnosticsError: There is nothing to remove.
        WeightsError: The weights cannot be loaded.
    """
    from isozoo.zoo.loading import load

    model = load(name)
    splits = {split: open_split(data, split) for split in ("train", "val")}
    for split, samples in splits.items():
        if labels_of(samples.classes) != model.labels:
            raise DataError(
                f"{split} of {data} has the classes {', '.join(samples.classes[:5])}...; {name} "
                f"was trained on {', '.join(model.labels[:5])}...: give a data set of its classes"
            )
    seen, validation = (
        Part(samples, np.sort(draw(samples, min(images, len(samples)))))
        for samples in splits.values()
    )
    sizes = len(seen), len(validation), len(splits["train"])
    announce(pruning_cost(model, *sizes, tuning))
    smaller, report = prune_classifier(
        model, splits["train"], validation, share, by, tied=tied, seen=seen, tuning=tuning
    )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pruned-", dir=folder) as temporary:
        smaller.save(Path(temporary) / MODEL)
        os.replace(Path(temporary) / MODEL, folder / MODEL)
    report.save(folder)
    return report
