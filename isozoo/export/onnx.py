"""ONNX, written and run in ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from isozoo.export.quiet import quiet_libraries

if TYPE_CHECKING:
    from isozoo.export.job import Job

FILE = "model.onnx"


def write(job: Job, folder: Path) -> None:
    """Convert a channels-first network and, for int8, quantise it."""
    import onnx

    with quiet_libraries(), tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / FILE
        job.network.export(
            str(path), format="onnx", input_signature=job.calibrated_signature, verbose=False
        )
        _rename_output(path)
        if job.calibration:
            path = _quantized(path, job)
        model = onnx.load(path)
    if job.batch_size is not None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = job.batch_size
    for key, value in job.metadata.items():
        model.metadata_props.add(key=f"isozoo.{key}", value=value)
    onnx.checker.check_model(model)
    onnx.save_model(model, folder / FILE)


def _rename_output(path: Path) -> None:
    """Call the logits so: the converter takes a name from the graph."""
    import onnx

    model = onnx.load(path)
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["logits" if name == output.name else name for name in node.output]
    output.name = "logits"
    onnx.save_model(model, path)


def _quantized(path: Path, job: Job) -> Path:
    from onnxruntime import quantization

    class Pictures(quantization.CalibrationDataReader):
        def __init__(self, batches: Iterator[np.ndarray]):
            self._batches = batches

        def get_next(self) -> Any:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch}

    prepared, result = path.with_name("prepared.onnx"), path.with_name("int8.onnx")
    quantization.quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        result,
        Pictures(iter(job.calibration)),
        # Activations may be negative, down to the shift of SReLU: they take a zero point.
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        # All between two convolutions, so that nothing goes back to float32 there. Not the stem's
        # padding with minus infinity, which 8 bits cannot hold.
        op_types_to_quantize=["Conv", "MatMul", "Relu", "Add"],
    )
    return result


class Runtime:
    """An ONNX network in ONNX Runtime, on the processor.

    Args:
        folder: The exported folder.
        dtype: The dtype it was exported as; the file knows how to compute.
        threads: Number of threads; one per core if None.
    """

    options: ClassVar[frozenset[str]] = frozenset({"threads"})

    def __init__(self, folder: Path, dtype: str, threads: int | None = None):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        # Remarks on how a network could be written better are not for who runs it.
        settings.log_severity_level = 3
        if threads is not None:
            settings.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            folder / FILE, settings, providers=["CPUExecutionProvider"]
        )
        (self.input_name,) = (value.name for value in self._session.get_inputs())
        (self.output_name,) = (value.name for value in self._session.get_outputs())

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of images in the layout of the file."""
        return self._session.run([self.output_name], {self.input_name: images})[0]
