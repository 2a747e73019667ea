"""TensorFlow's SavedModel, written and run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from isozoo.export.job import Job

FOLDER = "saved_model"
_SIGNATURE = "serving_default"


def write(job: Job, folder: Path) -> None:
    """Write the network's graph and its variables."""
    job.network.export(
        folder / FOLDER, format="tf_saved_model", input_signature=job.signature, verbose=False
    )


class Runtime:
    """A SavedModel in TensorFlow.

    Args:
        folder: The exported folder.
        dtype: The dtype it was exported as; the file knows how to compute.
    """

    # TensorFlow's threads are the process's.
    options: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, folder: Path, dtype: str):
        import tensorflow as tf

        # The signature does not keep what was loaded alive, nor the variables in it.
        self._loaded = tf.saved_model.load(str(folder / FOLDER))
        self._serve = self._loaded.signatures[_SIGNATURE]
        (self.input_name,) = self._serve.structured_input_signature[1]
        (self.output_name,) = self._serve.structured_outputs

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of images in the layout of the file."""
        return self._serve(**{self.input_name: images})[self.output_name].numpy()
