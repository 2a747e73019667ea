"""The weights folder: a network on disk, in a form that proves itself when it is read.

The encoder (`config.json`, `metadata.json`, `model.weights.h5`) and the head (`task.weights.h5`)
are in Keras's preset format, so `keras.saving.load_model(folder)` returns the backbone.
`isozoo.json` says what everything is and what it must hash to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import h5py
import keras
import numpy as np

from isozoo import __version__
from isozoo.errors import WeightsError
from isozoo.files import FileRecord, atomic_directory
from isozoo.models.adapting import adapt, rounded
from isozoo.models.card import card
from isozoo.models.classifier import Classifier
from isozoo.models.golden import golden_arrays
from isozoo.models.manifest import (
    CARD,
    CONFIG,
    ENCODER,
    GOLDEN,
    HEAD,
    LOG,
    MANIFEST,
    METADATA,
    OPTIONAL,
    RECIPE,
    REQUIRED,
    Log,
    Manifest,
    read_manifest,
    verify_files,
)
from isozoo.models.provenance import Provenance, provenance_of
from isozoo.models.variables import (
    check_finite,
    fingerprint,
    named_values,
    named_variables,
    parameter_count,
)

#: What is said of weights both in the manifest and as they are written.
_STATED = ("tag", "metrics", "licence", "source")


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What a loaded model's variables hold.

    Args:
        source: The folder the weights came from.
        assigned: Names of the variables that were read from it.
        fresh: Names of the variables that were initialised instead.
        adapted: Names of the variables that were computed from what was read.
        pinned: Whether isozoo's catalog vouches for the folder; otherwise only it itself does.
    """

    source: str
    assigned: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    pinned: bool = False


def write_folder(
    model: Classifier,
    directory: str | os.PathLike[str],
    *,
    tag: str | None = None,
    metrics: Mapping[str, float] | None = None,
    licence: str | None = None,
    source: str | None = None,
    recipe: str | None = None,
    log: Log = (),
    storage: str | None = None,
    repository: str | None = None,
) -> Manifest:
    """Write a weights folder, whole or not at all.

    A folder says nothing of the data format: it is written channels last, and each loader chooses.
    What is not said of the weights here is taken from the folder they were loaded from, as long as
    the model is still what was loaded; under another tag, only licence and source are. The learning
    curve is drawn if Matplotlib is installed.

    Args:
        model: The classifier to write.
        directory: Where; an older weights folder there stays until the new one is complete.
        tag: What the weights were trained on, such as `"imagenette"`.
        metrics: Measured numbers by name; `top1` and `top5` are shares in [0, 1].
        licence: SPDX identifier of the weights' licence, such as `"MIT"`.
        source: Whose weights these are and where they were taken from, if they were not made here.
        recipe: Text of the recipe that trained the weights.
        log: One record per epoch.
        storage: `"float16"` rounds the numbers and halves the files. The folder is then that of
            the rounded network, which computes in the dtype it had: metrics have to be measured
            on it. Files hold the dtype of the variables if None.
        repository: Hub repository that the folder is for, `owner/name`, which its card then names.

    Returns:
        The manifest that was written.

    Raises:
        UnknownNameError: There is no such storage.
        WeightsError: A variable is NaN, infinite or out of the range of `storage`, or `directory`
            holds something that would be lost: files that are not a weights folder's, or a tag,
            metrics, a licence, a source, a recipe or a log where none is given.
        ValueError: A metric or a number in the log is not finite.
        OSError: The disk is full or the place is not writable; an older folder is untouched.

    Example:
        >>> import tempfile
        >>> from isozoo.models import architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> with tempfile.TemporaryDirectory() as place:
        ...     manifest = write_folder(model, f"{place}/cats", tag="cats")
        ...     same = load_folder(f"{place}/cats")
        >>> manifest.full_name, same.provenance.tag
        ('isonet-8.cats', 'cats')
    """
    target = Path(directory).expanduser().resolve()
    _refuse_foreign(target)
    # A copy, so that neither an optimiser nor a frozen layer of the original is written.
    model = rounded(adapt(model, data_format="channels_last"), storage)
    manifest = _described(model)
    said = Provenance(
        tag=tag,
        metrics=metrics or {},
        licence=licence,
        source=source,
        recipe=recipe,
        log=log,
        storage=storage,
    )
    said = said.completed_by(provenance_of(model))
    _refuse_loss(target, said)
    stated = {name: getattr(said, name) for name in (*_STATED, "storage")}
    manifest = dataclasses.replace(manifest, **stated | {"metrics": dict(said.metrics)})
    with atomic_directory(target) as folder:
        _write_preset(model, folder, said.storage)
        golden = golden_arrays(adapt(model, dtype="float32"))
        np.savez_compressed(folder / GOLDEN, allow_pickle=False, **golden)
        said.write(folder, manifest.full_name)
        files = {path.name: FileRecord.of(path) for path in sorted(folder.iterdir())}
        manifest = dataclasses.replace(manifest, files=files)
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        text = card(manifest, said.log, repository=repository)
        (folder / CARD).write_text(text, encoding="utf-8")
    return manifest


def load_folder(
    directory: str | os.PathLike[str],
    *,
    data_format: str | None = None,
    pins: Mapping[str, FileRecord] | None = None,
) -> Classifier:
    """Read a weights folder into a network built from isozoo's own description of it.

    Nothing in the folder is run: the two weight files are only read as numbers. To have the network
    in another precision or for other images, give what is returned to
    `isozoo.models.adapting.adapt`.

    Args:
        directory: The folder.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.
        pins: What every file must be, `isozoo.json` included, where that is known beforehand;
            `isozoo.json` vouches for the rest.

    Returns:
        The classifier, every variable assigned; `load_report` says from where, `provenance` what
        the folder says of the weights.

    Raises:
        WeightsError: A file is missing, damaged or unreadable; a variable is missing, left over,
            misshapen, NaN or infinite; or the weights are those of another network.
    """
    directory = Path(directory).expanduser()
    pins = pins or {}
    verify_files(directory, pins)
    manifest = read_manifest(directory)
    others = {name: record for name, record in manifest.files.items() if name not in pins}
    verify_files(directory, others)
    model = _build(manifest, data_format)
    _check_variables(manifest, named_variables(model), str(directory))
    for part, name in ((model.backbone, ENCODER), (model.head, HEAD)):
        _assign(part, directory / name)
    values = named_values(model)
    check_finite(values, str(directory))
    found = fingerprint(model.architecture, values)
    if found != manifest.fingerprint:
        raise WeightsError(
            f"the weights in {directory} are not those of {manifest.full_name}: expected "
            f"fingerprint {manifest.fingerprint}, found {found}; they are probably another "
            "network's, fetch the folder again"
        )
    model.load_report = LoadReport(str(directory), tuple(values), pinned=MANIFEST in pins)
    model.provenance = Provenance.read(directory, manifest)
    return model


def _refuse_foreign(target: Path) -> None:
    """Refuse to replace a folder that holds anything but a weights folder's files."""
    if not target.is_dir():
        return
    found = {item.name for item in target.iterdir()}
    # Without isozoo.json even a README.md or a config.json is somebody else's.
    ours = {*REQUIRED, *OPTIONAL, CARD, MANIFEST} if MANIFEST in found else set()
    foreign = sorted(found - ours)
    if foreign:
        raise WeightsError(
            f"cannot write a weights folder at {target}: it would replace "
            f"{', '.join(foreign[:5])}, which isozoo did not write; choose another place"
        )


def _refuse_loss(target: Path, said: Provenance) -> None:
    """Refuse to replace a folder by one that says less of where its weights come from."""
    if not (target / MANIFEST).is_file():
        return
    stored: dict[str, Any] = {name: (target / name).is_file() for name in (RECIPE, LOG)}
    # Writing a damaged folder again is the way to mend it.
    with contextlib.suppress(WeightsError):
        manifest = read_manifest(target)
        stored = {name: getattr(manifest, name) for name in _STATED} | stored
    given = {name: getattr(said, name) for name in _STATED} | {RECIPE: said.recipe, LOG: said.log}
    lost = [name for name, value in stored.items() if value and not given[name]]
    if lost:
        raise WeightsError(
            f"cannot write a weights folder at {target}: the weights there would lose their "
            f"{', '.join(lost)}; give another directory"
        )


def _described(model: Classifier) -> Manifest:
    """Return the model's manifest, with nothing of its training and no files yet."""
    values = named_values(model)
    check_finite(values, "the model")
    return Manifest(
        name=model.architecture.name,
        tag=None,
        architecture=model.architecture,
        labels=model.labels,
        preprocessing=model.preprocessing,
        input_shape=tuple(model.backbone.input_shape[1:]),
        dtype=model.dtype_policy.name,
        parameters=parameter_count(model),
        variables={name: value.shape for name, value in values.items()},
        fingerprint=fingerprint(model.architecture, values),
        files={},
        version=__version__,
    )


def _write_preset(model: Classifier, folder: Path, storage: str | None) -> None:
    config = cast(dict[str, Any], keras.saving.serialize_keras_object(model.backbone))
    # How the model was compiled belongs to its training, not to its weights.
    config = {key: config[key] for key in config if key not in ("compile_config", "build_config")}
    metadata = {
        "keras_version": keras.__version__,
        "parameter_count": model.backbone.count_params(),
    }
    for name, content in ((CONFIG, config), (METADATA, metadata)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    stored = adapt(model, dtype=storage)
    stored.backbone.save_weights(folder / ENCODER)
    stored.head.save_weights(folder / HEAD)


def _build(manifest: Manifest, data_format: str | None) -> Classifier:
    try:
        policy = keras.dtype_policies.get(manifest.dtype)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{manifest.full_name} was written with the dtype policy '{manifest.dtype}', which "
            f"Keras {keras.__version__} does not know; upgrade Keras"
        ) from error
    input_shape = manifest.input_shape
    if (data_format or keras.config.image_data_format()) == "channels_first":
        input_shape = (input_shape[-1], *input_shape[:-1])
    return Classifier(
        manifest.architecture,
        manifest.labels,
        manifest.preprocessing,
        input_shape,
        data_format,
        dtype=policy,
    )


def _check_variables(manifest: Manifest, variables: Mapping[str, Any], where: str) -> None:
    """Compare the variables the manifest lists with those of the network built from it."""
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    differing = [
        f"{name} (stored {manifest.variables.get(name)}, network {expected.get(name)})"
        for name in {**expected, **manifest.variables}
        if manifest.variables.get(name) != expected.get(name)
    ]
    if differing:
        raise WeightsError(
            f"{where} does not fit {manifest.name} as this isozoo builds it: "
            f"{len(differing)} variables differ, first {', '.join(differing[:3])}; "
            "use the isozoo version that wrote it"
            + (f" ({manifest.version})" if manifest.version else "")
        )


def _assign(part: keras.Model, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            # Keras only warns where a layer keeps its fresh weights.
            warnings.simplefilter("error", UserWarning)
            part.load_weights(path)
        with h5py.File(path, "r") as stored:
            arrays: list[str] = []
            stored.visititems(
                lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None
            )
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        raise WeightsError(
            f"{path} does not hold the weights of this {part.name} ({error}); fetch the folder "
            "again"
        ) from error
    # Keras passes over arrays that no layer asks for.
    if len(arrays) != len(part.weights):
        raise WeightsError(
            f"{path} holds {len(arrays)} arrays, the {part.name} has {len(part.weights)} "
            "variables; the file is another network's, fetch the folder again"
        )
