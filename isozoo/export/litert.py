"""LiteRT (TensorFlow Lite), written and run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from isozoo.export.formats import installed
from isozoo.export.quiet import quiet_libraries

if TYPE_CHECKING:
    from isozoo.export.job import Job

FILE = "model.tflite"


def write(job: Job, folder: Path) -> None:
    """Convert a channels-last network, by way of a SavedModel."""
    with quiet_libraries():
        job.network.export(
            str(folder / FILE),
            format="litert",
            input_signature=job.signature,
            verbose=False,
            **_settings(job),
        )


def _settings(job: Job) -> dict[str, Any]:
    """Return the attributes of the converter for a dtype."""
    import tensorflow as tf

    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    builtin = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    if job.dtype == "float16":
        return smaller | {"target_spec": builtin | {"supported_types": [tf.float16]}}
    if job.calibration:
        # Input and output stay float32: quantising them is inside.
        return smaller | {
            "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            "representative_dataset": lambda: ([batch] for batch in job.calibration),
        }
    return {"target_spec": builtin}


class Runtime:
    """A LiteRT network in its interpreter: ai-edge-litert's, or the one that TensorFlow has.

    Args:
        folder: The exported folder.
        dtype: The dtype it was exported as; the file knows how to compute.
        threads: Number of threads; one if None.
    """

    options: ClassVar[frozenset[str]] = frozenset({"threads"})

    def __init__(self, folder: Path, dtype: str, threads: int | None = None):
        interpreter = _interpreter(folder / FILE, threads)
        # What cannot be run is to be refused now, and what is said of the processor said now.
        interpreter.allocate_tensors()
        # By its signature, as the tensors inside have names that the converter makes up.
        self._serve = interpreter.get_signature_runner()
        (self.input_name,) = self._serve.get_input_details()
        (self.output_name,) = self._serve.get_output_details()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of images in the layout of the file."""
        return self._serve(**{self.input_name: images})[self.output_name]


def _interpreter(path: Path, threads: int | None) -> Any:
    if installed("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(str(path), num_threads=threads)
    import tensorflow as tf

    with warnings.catch_warnings():
        # TensorFlow names the package above as its successor; who has not installed it runs this.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        return tf.lite.Interpreter(str(path), num_threads=threads)
