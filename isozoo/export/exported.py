"""An exported network, run by its own runtime: neither Keras nor the code that wrote it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import ExportError, unknown
from isozoo.export.formats import DTYPES, FORMATS
from isozoo.export.runtime import Runtime
from isozoo.export.sidecar import Sidecar, read_sidecar, verify
from isozoo.models.architecture import Architecture
from isozoo.models.predictions import Prediction, as_list, classify_pictures
from isozoo.models.provenance import Provenance

#: What a runtime that has the choice can be told to compute in.
PRECISIONS = ("float32", "bfloat16")


class ExportedClassifier:
    """An exported network with its labels and its preprocessing, as `load_exported` returns it.

    Args:
        sidecar: What the folder says of itself.
        runtime: Computes logits from images in the layout of the format.

    Call arguments:
        images: Preprocessed images `(batch, height, width, channels)`, whatever the layout inside.
        training: False, as for a Keras model that is not trained.

    Returns:
        Logits `(batch, classes)`, a float32 array.

    Raises:
        ValueError: The images are integers or have another shape than the network takes, or
            `training` is True.
    """

    #: The order of the axes it takes, as a `Classifier` names it.
    data_format = "channels_last"

    def __init__(self, sidecar: Sidecar, runtime: Runtime):
        self.sidecar = sidecar
        self._runtime = runtime

    @property
    def name(self) -> str:
        """Name of the weights, such as `"r-isonet-50.imagenet"`."""
        return self.sidecar.name

    @property
    def architecture(self) -> Architecture:
        """The description of the network."""
        return self.sidecar.architecture

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per class, in the order of the logits."""
        return self.sidecar.labels

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes an input."""
        return self.sidecar.preprocessing

    @property
    def provenance(self) -> Provenance:
        """What is said of the weights in float32: their tag, metrics, licence and source."""
        said = self.sidecar
        tag = said.name.removeprefix(said.architecture.name).removeprefix(".")
        return Provenance(
            tag=tag or None, metrics=said.metrics, licence=said.licence, source=said.source
        )

    @property
    def accuracy_tolerance(self) -> float:
        """How far top-1 accuracy may be from what is reported of the float32 weights."""
        return DTYPES[self.sidecar.dtype].accuracy_tolerance

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image, `(height, width, channels)`."""
        sides = [side for side in self.sidecar.input_shape[1:] if side is not None]
        return tuple(sides if self._last else (*sides[1:], sides[0]))

    @property
    def _last(self) -> bool:
        return self.sidecar.layout == "channels_last"

    def __call__(self, images: Any, training: bool = False) -> np.ndarray:
        """Return the logits of a batch; see the class."""
        if training:
            raise ValueError(f"{self.name} was exported to be run; load its weights to train them")
        images = np.asarray(images)
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(
                f"{self.name} takes preprocessed images, floats, and was given {images.dtype}; "
                "call `classify` with pictures, or `preprocess` first"
            )
        images = images.astype(np.float32, copy=False)
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"{self.name} was exported for images of the shape {self.image_shape}, got a batch "
                f"of the shape {images.shape}; export it again with another image_size"
            )
        if not len(images):
            return np.zeros((0, len(self.labels)), np.float32)
        batch = self.sidecar.batch_size
        if batch is None:
            return self._run(images)
        parts = [self._padded(images[i : i + batch], batch) for i in range(0, len(images), batch)]
        return np.concatenate(parts)

    def preprocess(self, images: Any) -> np.ndarray:
        """Turn pictures into one input batch.

        Args:
            images: One picture or a sequence of them, as for `classify`.

        Returns:
            A float32 array `(batch, height, width, channels)`.

        Raises:
            ImageError: A picture cannot be read; the message names it.
        """
        prepared = [self.preprocessing(image) for image in as_list(images)]
        return np.reshape(np.asarray(prepared, np.float32), (len(prepared), *self.image_shape))

    def classify(self, images: Any, top: int = 5, batch_size: int = 32) -> list[list[Prediction]]:
        """Name what is in pictures, preprocessing included, as `Classifier.classify` does.

        Args:
            images: One picture or a sequence of them: paths, file objects, PIL images or uint8
                arrays `(height, width, 3)`; an array `(batch, height, width, 3)` is a sequence.
            top: Number of classes to return, from the most probable; at least 1.
            batch_size: Pictures computed at once, at least 1.

        Returns:
            For each picture, its `top` most probable classes as `Prediction(label, probability,
            index)`, probabilities in [0, 1].

        Raises:
            ImageError: A picture cannot be read; the message names it.
            ValueError: `top` or `batch_size` is below 1.
        """

        def logits(pictures: list[Any]) -> np.ndarray:
            return self(self.preprocess(pictures))

        return classify_pictures(images, logits, self.labels, top, batch_size)

    def _run(self, images: np.ndarray) -> np.ndarray:
        if not self._last:
            images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        return np.asarray(self._runtime(images), np.float32)

    def _padded(self, images: np.ndarray, batch: int) -> np.ndarray:
        """Run fewer images than the fixed batch, with zeros for those that lack."""
        lacking = batch - len(images)
        padded = np.pad(images, [(0, lacking), (0, 0), (0, 0), (0, 0)]) if lacking else images
        return self._run(padded)[: len(images)]


def load_exported(
    directory: str | os.PathLike[str],
    *,
    threads: int | None = None,
    precision: str | None = None,
) -> ExportedClassifier:
    """Open a folder that `export_model` wrote, every file checked.

    Args:
        directory: The folder.
        threads: Number of threads to compute with; the runtime's choice if None.
        precision: Precision of the arithmetic instead of the exported one, one of `PRECISIONS`;
            only OpenVINO has the choice. Without it a float32 export computes in float32, also
            where OpenVINO by itself would take bfloat16.

    Returns:
        The network in its runtime.

    Raises:
        WeightsError: A file is missing, truncated or changed, or a newer isozoo wrote the folder.
        MissingExtraError: The runtime is not installed.
        ExportError: The runtime cannot be told the precision or the number of threads.
        UnknownNameError: There is no such precision.
        ValueError: `threads` is below 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if precision is not None and precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    folder = Path(directory).expanduser()
    sidecar = read_sidecar(folder)
    verify(folder, sidecar)
    form = FORMATS[sidecar.format]
    form.check_runtime()
    runtime = form.implementation.Runtime
    asked = {
        name: value
        for name, value in (("threads", threads), ("precision", precision))
        if value is not None
    }
    for option, value in asked.items():
        if option not in runtime.options:
            able = ", ".join(sorted(runtime.options)) or "no options"
            raise ExportError(
                f"{form.title} cannot be run with {option}={value!r}: it takes {able}"
            )
    return ExportedClassifier(sidecar, runtime(folder, sidecar.dtype, **asked))
