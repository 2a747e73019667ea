"""`isozoo-export.json`: what an exported folder says of itself, read and checked without Keras."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from isozoo.data.labels import distinct_labels
from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import IsozooError, WeightsError
from isozoo.export.formats import FORMATS
from isozoo.files import FileRecord, check_file
from isozoo.models.architecture import Architecture

SIDECAR = "isozoo-export.json"
GOLDEN = "golden.npz"
VERSION = 1

_AGAIN = "copy the folder again, or export it again with `isozoo export`"


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """Everything an exported folder says of itself.

    Args:
        name: Name of the weights, such as ``"r-isonet-50.imagenet"``.
        architecture: The full description of the network.
        labels: One label per class, in the order of the logits.
        preprocessing: How a picture becomes an input.
        format: Name of the format, a key of `isozoo.export.FORMATS`.
        dtype: What it was exported as.
        layout: Order of the axes inside, ``"channels_last"`` or ``"channels_first"``.
        input_name: The input's name in the file.
        input_shape: Its shape with the batch, in that layout; None where any number will do.
        output_name: The name of the logits in the file.
        calibration: How many pictures 8-bit ranges were measured on, 0 if none were.
        difference: Largest difference of a logit from Keras's as it was written, as a share of
            Keras's largest logit.
        metrics: What is reported of the weights in float32, by name.
        licence: SPDX identifier of the weights' licence; None if nobody said.
        source: Whose weights these are; None if made here or nobody said.
        versions: Versions of isozoo, Keras and the libraries that wrote the folder.
        files: Size and SHA-256 of every other file, by path inside the folder.
    """

    name: str
    architecture: Architecture
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    format: str
    dtype: str
    layout: str
    input_name: str
    input_shape: tuple[int | None, ...]
    output_name: str
    calibration: int
    difference: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    licence: str | None = None
    source: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @property
    def batch_size(self) -> int | None:
        """Images in a batch; None if any number will do."""
        return self.input_shape[0]

    def to_json(self) -> str:
        """Return the text of the file."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["architecture"] = self.architecture.to_dict()
        values["preprocessing"] = self.preprocessing.to_dict()
        values["files"] = {name: asdict(record) for name, record in self.files.items()}
        return json.dumps({"version": VERSION} | values, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = SIDECAR) -> Sidecar:
        """Read and check the text of the file.

        Args:
            text: The text.
            where: What to call it in errors.

        Raises:
            WeightsError: It is not JSON, was written by a newer isozoo, lacks a key, holds a value
                that cannot be, or names a file outside its folder.
        """
        values = _object(text, where)
        names = {item.name for item in fields(cls)}
        missing = sorted(names - values.keys())
        if missing:
            raise WeightsError(f"{where} lacks {', '.join(missing)}; {_AGAIN}")
        try:
            sidecar = cls(
                **{name: values[name] for name in names - _CONVERTED.keys()},
                **{name: convert(values[name]) for name, convert in _CONVERTED.items()},
            )
            sidecar._check()
        except (IsozooError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise WeightsError(
                f"{where} holds a value that isozoo cannot read ({error}); {_AGAIN}"
            ) from error
        return sidecar

    def _check(self) -> None:
        """Refuse what contradicts itself."""
        for name, (kind, sound) in _SOUND.items():
            if not sound(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}, not {kind}")
        form = FORMATS[self.format]
        last = form.layout == "channels_last"
        side = self.preprocessing.size
        shape = (side, side, self.architecture.channels)
        for what, found, expected in (
            ("dtype", self.dtype, self.dtype if self.dtype in form.dtypes else "one it has"),
            ("layout", self.layout, form.layout),
            ("number of labels", len(self.labels), self.architecture.classes),
            ("shape of an image", self.input_shape[1:], shape if last else (shape[2], side, side)),
            ("prepared channels", self.preprocessing.channels, self.architecture.channels),
        ):
            if found != expected:
                raise ValueError(f"the {what} is {found!r}, not {expected!r}")
        unlisted = sorted({*form.files, GOLDEN} - self.files.keys())
        if unlisted:
            raise ValueError(f"files does not list {', '.join(unlisted)}")


def is_exported(directory: str | os.PathLike[str]) -> bool:
    """Say whether a folder was written by `export_model`; nothing in it is checked.

    Example:
        >>> is_exported("no/such/folder")
        False
    """
    return os.path.isfile(os.path.join(os.path.expanduser(directory), SIDECAR))


def read_sidecar(directory: str | os.PathLike[str]) -> Sidecar:
    """Read what an exported folder says of itself; the other files are not touched.

    Args:
        directory: The folder.

    Raises:
        WeightsError: There is no such folder, or no sound `isozoo-export.json` in it.
    """
    path = Path(directory).expanduser() / SIDECAR
    if not path.parent.is_dir():
        raise WeightsError(f"no exported network at {path.parent}; check the path")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        found = ", ".join(sorted(item.name for item in path.parent.iterdir())[:8]) or "nothing"
        raise WeightsError(
            f"{path.parent} is no exported network: it has no {SIDECAR} (found {found}); {_AGAIN}"
        ) from None
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} is not text ({error}); {_AGAIN}") from error
    return Sidecar.from_json(text, where=str(path))


def verify(directory: str | os.PathLike[str], sidecar: Sidecar) -> None:
    """Check that every file of an exported folder is what was written; others do not matter.

    Args:
        directory: The folder.
        sidecar: What it says of itself.

    Raises:
        WeightsError: A file is missing, or has another size or content.
    """
    for name, record in sidecar.files.items():
        path = Path(directory) / name
        if not path.is_file():
            raise WeightsError(
                f"the exported network {directory} lacks {name}, which its {SIDECAR} lists with "
                f"{record.size} bytes; {_AGAIN}"
            )
        check_file(path, record, _AGAIN)


def paths_in(directory: Path) -> dict[str, Path]:
    """Return all that lies below a folder but folders, by its path inside of it."""
    found = sorted(directory.rglob("*"))
    files = [path for path in found if path.is_symlink() or not path.is_dir()]
    return {path.relative_to(directory).as_posix(): path for path in files}


def records(directory: Path) -> dict[str, FileRecord]:
    """Return size and SHA-256 of each file below a folder but the sidecar."""
    found = paths_in(directory)
    return {name: FileRecord.of(path) for name, path in found.items() if name != SIDECAR}


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"{where} is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(values, dict):
        raise WeightsError(
            f"{where} must hold a JSON object, found {type(values).__name__}; {_AGAIN}"
        )
    version = values.get("version")
    # JSON's true equals 1 in Python.
    known = type(version) is int
    if not known or version != VERSION:
        newer = known and version > VERSION
        advice = "upgrade with `pip install -U isozoo`" if newer else _AGAIN
        raise WeightsError(
            f"{where} has version {version!r}, this isozoo reads {VERSION}; {advice}"
        )
    return values


def _file_records(values: Mapping[str, Any]) -> dict[str, FileRecord]:
    for name in values:
        # Separators of the other kind, drives, and steps up: a folder speaks of its own files.
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or parts[0] == "/" or re.search(r"[\\:\x00]", name):
            raise ValueError(f"{name!r} is not the name of a file in the same folder")
    return {name: FileRecord(**record) for name, record in values.items()}


def _is_number(value: Any) -> bool:
    # JSON's true and false are numbers in Python.
    return type(value) in (int, float) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _is_mapping(value: Any, sound: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(sound(item) for item in value.values())


_TEXT = ("a text", _is_text)
_TEXT_OR_NONE = ("a text or null", lambda value: value is None or _is_text(value))

#: What a value must be by itself: in words, and as a test.
_SOUND: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("name", "format", "dtype", "layout", "input_name", "output_name"), _TEXT),
    **dict.fromkeys(("licence", "source"), _TEXT_OR_NONE),
    "calibration": ("a count", lambda value: _is_count(value, 0)),
    "difference": ("a finite number", _is_number),
    "metrics": ("finite numbers by name", lambda value: _is_mapping(value, _is_number)),
    "versions": ("texts by name", lambda value: _is_mapping(value, _is_text)),
    "input_shape": (
        "four integers of at least 1, the first of them perhaps null",
        lambda value: (
            len(value) == 4
            and (value[0] is None or _is_count(value[0], 1))
            and all(_is_count(side, 1) for side in value[1:])
        ),
    ),
}

_CONVERTED = {
    "architecture": Architecture.from_dict,
    "labels": distinct_labels,
    "preprocessing": Preprocessing.from_dict,
    "input_shape": tuple,
    "files": _file_records,
}
