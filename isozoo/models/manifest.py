"""`isozoo.json`, the manifest of a weights folder: read, checked and written without Keras."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from isozoo.data.labels import distinct_labels
from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import IsozooError, WeightsError
from isozoo.files import FileRecord, check_file
from isozoo.models.architecture import Architecture

#: One record per epoch, as the lines of `log.jsonl` hold them.
Log = Sequence[Mapping[str, Any]]

FORMAT = 1
MANIFEST = "isozoo.json"
CONFIG = "config.json"
METADATA = "metadata.json"
ENCODER = "model.weights.h5"
HEAD = "task.weights.h5"
RECIPE = "recipe.toml"
LOG = "log.jsonl"
CURVE = "learning_curve.png"
GOLDEN = "golden.npz"
#: Prose for people, who may edit it on the Hub: the one file that no record lists.
CARD = "README.md"
REQUIRED = (CONFIG, METADATA, ENCODER, HEAD, GOLDEN)
#: About the training. A copy of a folder may lack them; where they are, they are as listed.
OPTIONAL = (RECIPE, LOG, CURVE)
#: What loading reads: the curve is drawn again from the log.
FETCHED = (*REQUIRED, RECIPE, LOG)

_AGAIN = "fetch the folder again, or write it again with save_pretrained()"


@dataclass(frozen=True)
class Manifest:
    """Everything a weights folder says about itself.

    Args:
        name: Name of the architecture, such as ``"r-isonet-18-w32"``.
        tag: What the weights were trained on, such as ``"imagenette"``; None if nobody said.
        architecture: The full description the network is rebuilt from.
        labels: One label per class, in the order of the logits.
        preprocessing: How an image becomes the network's input.
        input_shape: ``(height, width, channels)`` without the batch, None where free.
        dtype: Name of the Keras dtype policy, such as ``"float32"``.
        parameters: Number of values in all variables but the moving statistics.
        variables: Shape of each variable by ``layer/variable``, encoder first, in building order.
        fingerprint: SHA-256 over the architecture and every variable's name, type, shape and
            bytes; it ties the two weight files to the network they belong to.
        files: Size and SHA-256 of every other file of the folder but the card.
        metrics: Measured numbers by name; ``top1`` and ``top5`` are shares in [0, 1].
        licence: SPDX identifier of the weights' licence; None if nobody said.
        source: Whose weights these are and where they were taken from; None if made here.
        storage: Dtype that the weights' files hold the numbers in, if not that of the variables.
        version: The isozoo that wrote the folder.
    """

    name: str
    tag: str | None
    architecture: Architecture
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    input_shape: tuple[int | None, ...]
    dtype: str
    parameters: int
    variables: Mapping[str, tuple[int, ...]]
    fingerprint: str
    files: Mapping[str, FileRecord]
    metrics: Mapping[str, float] = field(default_factory=dict)
    licence: str | None = None
    source: str | None = None
    storage: str | None = None
    version: str = ""

    @property
    def full_name(self) -> str:
        """``name.tag``, or the name alone when there is no tag."""
        return f"{self.name}.{self.tag}" if self.tag else self.name

    def to_json(self) -> str:
        """Return the text of `isozoo.json`; lists of numbers stay on one line.

        Raises:
            ValueError: A metric is not finite, which JSON cannot say.
        """
        fields = {name: getattr(self, name) for name in _TYPES if name != "format"}
        fields["architecture"] = self.architecture.to_dict()
        fields["preprocessing"] = self.preprocessing.to_dict()
        fields["files"] = {name: asdict(record) for name, record in self.files.items()}
        text = json.dumps({"format": FORMAT} | fields, indent=2, allow_nan=False)
        # Only a list spread over lines holds a line break: a string never does in JSON.
        return re.sub(r"\[\n\s+([\d\s.,e+null-]+?)\s+\]", _on_one_line, text) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = MANIFEST) -> Manifest:
        """Read and check the text of `isozoo.json`.

        Args:
            text: The text.
            where: What to call it in errors.

        Raises:
            WeightsError: It is not JSON, was written by a newer isozoo, lacks a key, has a value
                of the wrong type, or names a file outside its folder.
        """
        data = _checked(text, where)
        for name in data["files"]:
            _check_file_name(name, where)
        try:
            manifest = cls(
                **{name: data[name] for name in _TYPES if name not in ("format", *_CONVERTED)},
                **{name: convert(data[name]) for name, convert in _CONVERTED.items()},
            )
        except (IsozooError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise WeightsError(
                f"{where} holds a value that isozoo cannot read ({error}); {_AGAIN}"
            ) from error
        manifest._check_consistent(where)
        return manifest

    def _check_consistent(self, where: str) -> None:
        described = self.architecture
        for what, found, expected in (
            ("name", self.name, described.name),
            ("number of labels", len(self.labels), described.classes),
            ("number of sides in input_shape", len(self.input_shape), 3),
            ("number of input channels", self.input_shape[-1:], (described.channels,)),
            ("number of prepared channels", self.preprocessing.channels, described.channels),
        ):
            if found != expected:
                raise WeightsError(
                    f"{where} contradicts itself: its architecture gives the {what} {expected!r}, "
                    f"found {found!r}; {_AGAIN}"
                )


def read_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """Read the manifest of a weights folder; the other files are not touched.

    Args:
        directory: The folder.

    Raises:
        WeightsError: There is no such folder, or no sound `isozoo.json` in it.
    """
    path = Path(directory) / MANIFEST
    if not path.parent.is_dir():
        raise WeightsError(f"no weights folder at {path.parent}; check the path")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        found = ", ".join(sorted(item.name for item in path.parent.iterdir())[:8]) or "nothing"
        raise WeightsError(
            f"{path.parent} is not a weights folder: it has no {MANIFEST} (found {found}); {_AGAIN}"
        ) from None
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} is not text ({error}); {_AGAIN}") from error
    return Manifest.from_json(text, where=str(path))


def verify_files(directory: str | os.PathLike[str], files: Mapping[str, FileRecord]) -> None:
    """Check that the files that are there are as recorded, and that none is missing that is needed.

    Args:
        directory: The folder.
        files: What each file must be, by name.

    Raises:
        WeightsError: A file that the network needs is missing, or any file has another size or
            another content.
    """
    for name, record in files.items():
        path = Path(directory) / name
        if not path.exists() and name not in (*REQUIRED, MANIFEST):
            continue
        if not path.is_file():
            raise WeightsError(
                f"weights folder {directory} lacks {name}, which its record lists with "
                f"{record.size} bytes; {_AGAIN}"
            )
        check_file(path, record, _AGAIN)


_NONE = type(None)
_TYPES: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "name": (str,),
    "tag": (str, _NONE),
    "architecture": (dict,),
    "labels": (list,),
    "preprocessing": (dict,),
    "input_shape": (list,),
    "dtype": (str,),
    "parameters": (int,),
    "metrics": (dict,),
    "licence": (str, _NONE),
    "source": (str, _NONE),
    "storage": (str, _NONE),
    "version": (str,),
    "fingerprint": (str,),
    "files": (dict,),
    "variables": (dict,),
}
#: Keys that older folders do not have, and what they then mean.
_LATER: dict[str, Any] = {"source": None, "storage": None}
_CONVERTED = {
    "architecture": Architecture.from_dict,
    "labels": distinct_labels,
    "metrics": lambda value: dict(zip(value, _each(value.values(), (int, float)), strict=True)),
    "preprocessing": Preprocessing.from_dict,
    "input_shape": lambda value: tuple(_each(value, (int, _NONE))),
    "files": lambda value: {name: FileRecord(**record) for name, record in value.items()},
    "variables": lambda value: {name: tuple(_each(shape, int)) for name, shape in value.items()},
}


def _on_one_line(match: re.Match[str]) -> str:
    return "[" + re.sub(r"\s+", " ", match[1]) + "]"


def _each(values: Iterable[Any], kinds: type | tuple[type, ...]) -> list[Any]:
    values = list(values)
    for value in values:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"unexpected {value!r}")
    return values


def _checked(text: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"{where} is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(data, dict):
        raise WeightsError(
            f"{where} must hold a JSON object, found {type(data).__name__}; {_AGAIN}"
        )
    written = data.get("format")
    if type(written) is int and written != FORMAT:
        advice = "upgrade with `pip install -U isozoo`" if written > FORMAT else _AGAIN
        raise WeightsError(f"{where} has format {written}, this isozoo reads {FORMAT}; {advice}")
    data = _LATER | data
    missing = [name for name in _TYPES if name not in data]
    if missing:
        raise WeightsError(f"{where} lacks {', '.join(missing)}; {_AGAIN}")
    for name, types in _TYPES.items():
        if not isinstance(data[name], types) or isinstance(data[name], bool):
            wanted = " or ".join("null" if kind is _NONE else kind.__name__ for kind in types)
            raise WeightsError(
                f"{where}: '{name}' must be {wanted}, found {type(data[name]).__name__}; {_AGAIN}"
            )
    lost = [name for name in REQUIRED if name not in data["files"]]
    if lost:
        raise WeightsError(f"{where}: 'files' lacks {', '.join(lost)}; {_AGAIN}")
    return data


def _check_file_name(name: str, where: str) -> None:
    # Separators of both kinds, drives and dots: a folder may only speak of its own files.
    if name in ("", ".", "..", MANIFEST) or re.search(r"[/\\:\x00]", name):
        raise WeightsError(
            f"{where} lists {name!r}, which is not the plain name of another file in the same "
            "folder; do not use this folder"
        )
