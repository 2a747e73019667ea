"""OpenVINO: the intermediate representation, written and run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from isozoo.export.quiet import quiet_libraries

if TYPE_CHECKING:
    from isozoo.export.job import Job

FILE = "model.xml"
#: The precision that arithmetic is done in, by the dtype that was exported. Without a hint OpenVINO
#: takes bfloat16 wherever the processor has it, also for a float32 network.
HINTS = {"float32": "f32", "float16": "f32", "bfloat16": "bf16", "int8": "bf16"}


def write(job: Job, folder: Path) -> None:
    """Convert a channels-first network, by way of a SavedModel."""
    import openvino

    with quiet_libraries(), tempfile.TemporaryDirectory() as scratch:
        job.network.export(
            scratch,
            format="tf_saved_model",
            input_signature=job.calibrated_signature,
            verbose=False,
        )
        converted = openvino.convert_model(scratch)
        if job.calibration:
            converted = _quantized(converted, job)
            converted.reshape([job.batch_size or -1, *job.input_shape])
        _describe(converted, job)
        # Floats of 16 bits are a way to store the weights: they are read back as float32.
        openvino.save_model(converted, folder / FILE, compress_to_fp16=job.dtype == "float16")


def _quantized(converted: Any, job: Job) -> Any:
    import nncf

    return nncf.quantize(
        converted,
        nncf.Dataset(list(job.calibration)),
        # Activations may be negative, down to the shift of SReLU: they take a zero point.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(job.calibration),
    )


def _describe(converted: Any, job: Job) -> None:
    for key, value in job.metadata.items():
        converted.set_rt_info(value, ["isozoo", key])
    converted.inputs[0].set_names({"images"})
    converted.outputs[0].set_names({"logits"})


class Runtime:
    """A network in OpenVINO's runtime, on the processor.

    Args:
        folder: The exported folder.
        dtype: The dtype it was exported as.
        threads: Number of threads; OpenVINO's choice if None.
        precision: The precision of the arithmetic, instead of the exported one's: a key of `HINTS`.
    """

    options: ClassVar[frozenset[str]] = frozenset({"threads", "precision"})

    def __init__(
        self, folder: Path, dtype: str, threads: int | None = None, precision: str | None = None
    ):
        import openvino

        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision or dtype]}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._model = openvino.compile_model(folder / FILE, "CPU", settings)
        self.input_name = self._model.inputs[0].any_name
        self.output_name = self._model.outputs[0].any_name

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of images in the layout of the file."""
        return self._model(images)[0]
