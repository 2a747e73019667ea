"""The formats a network can be exported to, as a table."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from isozoo.errors import ExportError, MissingExtraError, unknown


@dataclass(frozen=True)
class Dtype:
    """How exact an export in one dtype is, and what it takes.

    Args:
        tolerance: Largest difference between the logits of an export and of Keras, as a share of
            Keras's largest logit, on the pictures that it is checked on. What is found is far
            smaller but for int8, whose rounding is coarse.
        accuracy_tolerance: Largest change of top-1 accuracy, a share in [0, 1].
        calibrated: Whether ranges are measured on pictures.
    """

    tolerance: float
    accuracy_tolerance: float
    calibrated: bool = False


DTYPES = {
    "float32": Dtype(tolerance=1e-4, accuracy_tolerance=0.002),
    "float16": Dtype(tolerance=1e-2, accuracy_tolerance=0.002),
    "bfloat16": Dtype(tolerance=5e-2, accuracy_tolerance=0.005),
    "int8": Dtype(tolerance=0.25, accuracy_tolerance=0.01, calibrated=True),
}


@dataclass(frozen=True)
class Format:
    """How one format is written and run.

    Args:
        name: What it is called, such as ``"onnx"``.
        title: What people call it.
        module: The module of `isozoo.export` that writes and opens it.
        layout: Order of the axes of the images inside, ``"channels_last"`` or ``"channels_first"``.
        files: Files that every export in it has, by their paths inside the folder.
        dtypes: What it can be written in, keys of `DTYPES`, and what that means.
        writes_with: Modules that writing needs and isozoo does not.
        calibrates_with: Modules that calibration needs besides.
        runs_with: Modules of which one is needed to run it; the first that is there is taken.
        policies: Keras's dtype policy for the network that is written, by dtype, where the format
            does not compute in its own precision.
        rewrites: How the network is rewritten before, as `isozoo.export.serving.REPLACEMENTS` has
            it.
        backends: Keras backends it can be written from.
    """

    name: str
    title: str
    module: str
    layout: str
    files: Sequence[str]
    dtypes: Mapping[str, str]
    runs_with: Sequence[str]
    writes_with: Sequence[str] = ()
    calibrates_with: Sequence[str] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    rewrites: Sequence[str] = ("foldable shift",)
    backends: Sequence[str] = ("tensorflow",)

    @property
    def implementation(self) -> ModuleType:
        """The module with `write` and `Runtime`."""
        return importlib.import_module(f"isozoo.export.{self.module}")

    def check_dtype(self, dtype: str) -> None:
        """Refuse a dtype that the format does not have.

        Raises:
            ExportError: Naming those it has.
        """
        if dtype in self.dtypes:
            return
        others = [name for name, form in FORMATS.items() if dtype in form.dtypes]
        elsewhere = f", or {dtype} with format {' or '.join(others)}" if others else ""
        raise ExportError(
            f"{self.title} cannot be exported as {dtype}; use {' or '.join(self.dtypes)}{elsewhere}"
        )

    def check_backend(self, backend: str) -> None:
        """Refuse a Keras backend that the format cannot be written from.

        Raises:
            ExportError: Naming those it can be written from.
        """
        if backend not in self.backends:
            raise ExportError(
                f"{self.title} cannot be exported while Keras computes with {backend}: it is "
                f"converted from a TensorFlow graph. Weights are the same for every backend, so "
                f"export with KERAS_BACKEND={self.backends[0]} (`isozoo export --backend "
                f"{self.backends[0]}`)"
            )

    def libraries(self, dtype: str) -> tuple[str, ...]:
        """Return the modules that writing in a dtype needs and isozoo does not."""
        return (*self.writes_with, *(self.calibrates_with if DTYPES[dtype].calibrated else ()))

    @property
    def runtime(self) -> str | None:
        """The module that runs it, None if none is installed."""
        return next((name for name in self.runs_with if installed(name)), None)

    def check_writer(self, dtype: str) -> None:
        """Refuse to write without the libraries that this takes.

        Raises:
            MissingExtraError: One is not installed.
        """
        missing = [name for name in self.libraries(dtype) if not installed(name)]
        if missing:
            raise MissingExtraError(
                f"exporting to {self.title} as {dtype} needs {', '.join(missing)}: "
                "python -m pip install 'isozoo[export]'"
            )

    def check_runtime(self) -> None:
        """Refuse to run without a runtime.

        Raises:
            MissingExtraError: None is installed.
        """
        if self.runtime is None:
            raise MissingExtraError(
                f"running {self.title} needs {' or '.join(self.runs_with)}: "
                "python -m pip install 'isozoo[export]'"
            )


FORMATS = {
    form.name: form
    for form in (
        Format(
            name="saved_model",
            title="a SavedModel",
            module="saved_model",
            layout="channels_last",
            files=("saved_model/saved_model.pb", "saved_model/variables/variables.index"),
            dtypes={
                "float32": "weights and arithmetic in float32",
                "bfloat16": "weights in float32, arithmetic in bfloat16",
            },
            runs_with=("tensorflow",),
            policies={"bfloat16": "mixed_bfloat16"},
            rewrites=(),
        ),
        Format(
            name="onnx",
            title="ONNX",
            module="onnx",
            layout="channels_first",
            files=("model.onnx",),
            dtypes={
                "float32": "weights and arithmetic in float32",
                "int8": "weights and activations in 8 bits, calibrated on pictures",
            },
            writes_with=("onnx", "onnxruntime", "tf2onnx"),
            runs_with=("onnxruntime",),
        ),
        Format(
            name="litert",
            title="LiteRT",
            module="litert",
            # The converter knows convolutions of this layout only.
            layout="channels_last",
            files=("model.tflite",),
            dtypes={
                "float32": "weights and arithmetic in float32",
                "float16": "weights stored in float16, arithmetic in float32",
                "int8": "weights and activations in 8 bits, calibrated on pictures",
            },
            runs_with=("ai_edge_litert", "tensorflow"),
            rewrites=("foldable shift", "mirrored padding"),
        ),
        Format(
            name="openvino",
            title="OpenVINO",
            module="openvino",
            # Written channels last, it would turn every feature map round.
            layout="channels_first",
            files=("model.xml", "model.bin"),
            dtypes={
                "float32": "weights and arithmetic in float32",
                "float16": "weights stored in float16, arithmetic in float32",
                "bfloat16": "weights in float32, arithmetic in bfloat16 where the processor has it",
                "int8": "weights and activations in 8 bits, calibrated on pictures; the rest as "
                "bfloat16",
            },
            writes_with=("openvino",),
            calibrates_with=("nncf",),
            runs_with=("openvino",),
        ),
    )
}


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises:
        UnknownNameError: There is none.

    Example:
        >>> list(format_named("litert").dtypes)
        ['float32', 'float16', 'int8']
    """
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name]


def installed(module: str) -> bool:
    """Say whether a module could be imported."""
    return importlib.util.find_spec(module) is not None
