"""Writes a network in another runtime's format, and reads it back before anybody relies on it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import isozoo
from isozoo.errors import ExportError, WeightsError
from isozoo.export.calibration import calibration_batches
from isozoo.export.checking import check
from isozoo.export.exported import ExportedClassifier
from isozoo.export.formats import DTYPES, Format, format_named
from isozoo.export.job import Job
from isozoo.export.runtime import Runtime
from isozoo.export.serving import rewritten
from isozoo.export.sidecar import GOLDEN, SIDECAR, Sidecar, paths_in, read_sidecar, records, verify
from isozoo.files import atomic_directory
from isozoo.models.adapting import adapt, image_sides, in_data_format
from isozoo.models.classifier import Classifier
from isozoo.models.golden import golden_arrays
from isozoo.models.provenance import Provenance, provenance_of
from isozoo.models.variables import check_finite, named_values

#: Calibration pictures that an int8 export is compared with Keras on.
COMPARED = 16


def export_model(
    model: Classifier,
    directory: str | os.PathLike[str],
    format: str = "saved_model",
    dtype: str = "float32",
    calibration: Any = None,
    *,
    image_size: int | None = None,
    batch_size: int | None = None,
) -> Sidecar:
    r"""Write a classifier in the format of another runtime, whole and checked or not at all.

    The folder holds the network, `isozoo-export.json` with labels, preprocessing and the hash of
    every file, and `golden.npz` with an input and what the Keras network answers. It is written
    under a temporary name, opened in its own runtime, and compared:

    $$\frac{\max |y - y_{\text{Keras}}|}{\max |y_{\text{Keras}}|} \le
    \text{the dtype's tolerance}$$

    over the logits $y$ of the stored input or, for int8, of pictures it was calibrated on; and the
    first class must be the same, unless Keras holds the two closer together than the tolerance.

    Args:
        model: The classifier, which stays as it is.
        directory: Folder to write. One that holds an older export is replaced once the new one is
            complete.
        format: A key of `isozoo.export.FORMATS`: `"saved_model"`, `"onnx"`, `"litert"` or
            `"openvino"`.
        dtype: One of the format's dtypes, such as `"float32"` or `"int8"`.
        calibration: For int8: a folder of pictures like those it will see, or a sequence of
            pictures; a few hundred are enough, and 300 are taken of more.
        image_size: Side of the images; the network's own if it is fixed, or else its
            preprocessing's, if None. The preprocessing follows.
        batch_size: Images in a batch; any number if None.

    Returns:
        What the folder says of itself.

    Raises:
        UnknownNameError: There is no such format.
        ExportError: The format lacks the dtype or cannot be written from this Keras backend, int8
            comes without calibration, `directory` holds something else than an export, or the
            export answers otherwise than the network.
        MissingExtraError: A library is not installed.
        WeightsError: A variable is NaN or infinite.
        DataError: `calibration` is no folder or without a picture.
        ImageError: A picture in it cannot be read.
        ValueError: A size is below 1.
        OSError: The disk is full or the place is not writable; an older export is untouched.

    Example:
        >>> import tempfile
        >>> from isozoo.export import load_exported
        >>> from isozoo.models import architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2), labels=["cat", "dog"])
        >>> with tempfile.TemporaryDirectory() as place:
        ...     sidecar = export_model(model, f"{place}/pets", "saved_model")
        ...     exported = load_exported(f"{place}/pets")
        >>> exported.labels, exported(np.zeros((3, 32, 32, 3))).shape
        (('cat', 'dog'), (3, 2))
    """
    form = check_request(directory, format, dtype, calibration)
    for what, number in (("batch_size", batch_size), ("image_size", image_size)):
        if number is not None and number < 1:
            raise ValueError(f"{what} must be at least 1, got {number}")
    target = Path(directory).expanduser().resolve()
    reference = _reference(model, image_size)
    check_finite(named_values(reference), "the model")
    # The metrics are of the weights in their own precision, as the sidecar says.
    said = provenance_of(reference, any_dtype=True)
    batches: Sequence[np.ndarray] = ()
    if calibration is not None:
        batches = calibration_batches(calibration, reference.preprocessing, form.layout)
    with atomic_directory(target) as folder:
        job = _job(reference, form, dtype, batches, batch_size, said)
        form.implementation.write(job, folder)
        golden = golden_arrays(reference)
        np.savez_compressed(
            folder / GOLDEN, allow_pickle=False, input=golden["input"], logits=golden["logits"]
        )
        runtime = form.implementation.Runtime(folder, dtype)
        sidecar = _sidecar(reference, said, form, job, folder, runtime)
        exported = ExportedClassifier(sidecar, runtime)
        difference = check(exported, reference, _inputs(golden["input"], batches, form))
        sidecar = dataclasses.replace(sidecar, difference=difference)
        (folder / SIDECAR).write_text(sidecar.to_json(), encoding="utf-8")
        verify(folder, read_sidecar(folder))
    return sidecar


def check_request(
    directory: str | os.PathLike[str], format: str, dtype: str, calibration: Any = None
) -> Format:
    """Refuse what could be exported from no network at all.

    Args:
        directory: Folder to write.
        format: A key of `isozoo.export.FORMATS`.
        dtype: One of the format's dtypes.
        calibration: Pictures, or a folder of them, which is not opened yet; None for none.

    Returns:
        The format.

    Raises:
        UnknownNameError: There is no such format.
        ExportError: As `export_model` raises it, but for what depends on the network.
        MissingExtraError: A library is not installed.
    """
    form = format_named(format)
    form.check_dtype(dtype)
    form.check_backend(keras.backend.backend())
    form.check_writer(dtype)
    form.check_runtime()
    calibrated = DTYPES[dtype].calibrated
    if calibration is not None and not calibrated:
        able = " or ".join(name for name, row in DTYPES.items() if row.calibrated)
        raise ExportError(f"calibration is for dtype {able}, and {dtype} was asked for")
    if calibrated and calibration is None:
        raise ExportError(
            f"{dtype} needs pictures to measure the ranges of its numbers on: give calibration "
            "(`--calibration DIR`), a folder of a few hundred pictures like those it will see"
        )
    _refuse_foreign(Path(directory).expanduser().resolve())
    return form


def _refuse_foreign(target: Path) -> None:
    """Refuse to replace a folder that holds anything but an export's files."""
    if not target.is_dir():
        return
    try:
        ours = {SIDECAR, *read_sidecar(target).files}
    except WeightsError:
        # Nobody says what is in it, so all of it is somebody else's.
        ours = set()
    foreign = sorted(set(paths_in(target)) - ours)
    if foreign:
        raise ExportError(
            f"cannot export to {target}: it would replace {', '.join(foreign[:5])}, which is no "
            "export of isozoo; choose another folder"
        )


def _reference(model: Classifier, image_size: int | None) -> Classifier:
    """Return the classifier in float32, channels last, for squares of one size."""
    sides = image_sides(model)
    if image_size is None and len(set(sides)) > 1:
        height, width = (side or "any" for side in sides)
        raise ExportError(
            f"the network takes images of {height}x{width} only, and pictures are cut to squares: "
            "give image_size"
        )
    size = image_size or sides[0] or model.preprocessing.size
    shape = in_data_format((size, size), model.architecture.channels, "channels_last")
    return adapt(model, dtype="float32", data_format="channels_last", input_shape=shape)


def _job(
    reference: Classifier,
    form: Format,
    dtype: str,
    batches: Sequence[np.ndarray],
    batch_size: int | None,
    said: Provenance,
) -> Job:
    policy = form.policies.get(dtype, "float32")
    network = adapt(reference, dtype=policy, data_format=form.layout)
    return Job(
        network=rewritten(network, form.rewrites),
        dtype=dtype,
        input_shape=tuple(network.backbone.input_shape[1:]),
        batch_size=batch_size,
        calibration=batches,
        metadata={
            "name": said.full_name(reference.architecture),
            "labels": json.dumps(reference.labels, ensure_ascii=False),
            "preprocessing": json.dumps(reference.preprocessing.to_dict()),
            "layout": form.layout,
        },
    )


def _sidecar(
    reference: Classifier,
    said: Provenance,
    form: Format,
    job: Job,
    folder: Path,
    runtime: Runtime,
) -> Sidecar:
    """Return what the folder says of itself, before it was compared."""
    return Sidecar(
        name=job.metadata["name"],
        architecture=reference.architecture,
        labels=reference.labels,
        preprocessing=reference.preprocessing,
        format=form.name,
        dtype=job.dtype,
        layout=form.layout,
        input_name=runtime.input_name,
        input_shape=(job.batch_size, *job.input_shape),
        output_name=runtime.output_name,
        calibration=len(job.calibration),
        difference=0.0,
        metrics=dict(said.metrics),
        licence=said.licence,
        source=said.source,
        versions=_versions(form, job.dtype),
        files=records(folder),
    )


def _versions(form: Format, dtype: str) -> dict[str, str]:
    found = {"isozoo": isozoo.__version__, "keras": keras.__version__}
    # TensorFlow, for one, is distributed under several names.
    distributions = importlib.metadata.packages_distributions()
    for name in filter(None, (keras.backend.backend(), *form.libraries(dtype), form.runtime)):
        known = distributions.get(name)
        found[name] = importlib.metadata.version(known[0]) if known else "unknown"
    return found


def _inputs(golden: np.ndarray, batches: Sequence[np.ndarray], form: Format) -> np.ndarray:
    """Return the images to compare on, channels last: calibration pictures if there are any."""
    if not batches:
        return golden
    chosen = np.linspace(0, len(batches) - 1, min(len(batches), COMPARED)).round().astype(int)
    images = np.concatenate([batches[index] for index in chosen])
    return images.transpose(0, 2, 3, 1) if form.layout == "channels_first" else images
