"""The catalog: one record per network and per published weights, read without Keras or NumPy.

`catalog.json` is generated from the weights folders, from `releases.json` (what the networks'
authors released) and from `pins.json` (what was published where); `python -m isozoo.zoo.catalog
--write` renews it, and without `--write` the command fails if the file is stale.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from isozoo.errors import WeightsError, unknown
from isozoo.files import FileRecord, atomic_write
from isozoo.models.architecture import (
    architecture,
    architecture_names,
    is_architecture_name,
    split_name,
)

CATALOG = Path(__file__).with_name("catalog.json")
RELEASES = Path(__file__).with_name("releases.json")
PINS = Path(__file__).with_name("pins.json")
SIZES = Path(__file__).parent.parent / "models" / "sizes.json"
WEIGHTS = Path(__file__).parents[2] / "weights"

#: Where an architecture has weights under several tags, the first of these is its default.
TAGS = ("imagenet", "imagenette", "cifar10")


@dataclass(frozen=True)
class Release:
    """Where the authors of a network released its weights, as a PyTorch checkpoint.

    Args:
        source: The authors' repository, whose licence is the record's.
        file_id: Google Drive's name of the checkpoint.
        dropout: Probability of dropping a pooled feature that they were trained with, in [0, 1).
    """

    source: str
    file_id: str
    dropout: float

    @property
    def url(self) -> str:
        """Page of the checkpoint, for a browser."""
        return f"https://drive.google.com/file/d/{self.file_id}/view"


@dataclass(frozen=True)
class Record:
    """What is known about a network, or about one set of weights of it.

    Args:
        name: `architecture.tag`, or the architecture's name alone if it has no weights.
        architecture: Name of the architecture.
        tag: What the weights were trained on; None without weights.
        parameters: Number of learned values; with 1000 classes where there are no weights.
        gflops: Thousand million multiply-adds for one image of the usual size.
        metrics: Numbers measured with isozoo, by name; `top1` and `top5` are shares in [0, 1].
        reported: Numbers that the authors of the weights state, by name, in the same units; not
            measured with isozoo.
        licence: SPDX identifier of the weights' licence.
        recipe: Path of the recipe in the weights' repository.
        files: Size and SHA-256 of every file of the weights folder; empty where no folder was
            published, only a release.
        repository: Hub repository that holds the folder; None until it is published.
        commit: Commit of that repository; None until it is published.
        release: Where the authors' checkpoint is; None for weights that isozoo trained.
    """

    name: str
    architecture: str
    tag: str | None
    parameters: int
    gflops: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
    licence: str | None = None
    recipe: str | None = None
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    repository: str | None = None
    commit: str | None = None
    release: Release | None = None


def list_models(pattern: str | None = None, pretrained: bool = False) -> list[str]:
    """Return the names of the networks, or of the weights, in natural order.

    Args:
        pattern: Shell pattern such as `"r-isonet-*"`; all names if None. For weights it may match
            the name with or without the tag.
        pretrained: Whether to list weights (`r-isonet-18-w32.imagenette`) instead of networks.

    Returns:
        The matching names, numbers in them compared as numbers.

    Example:
        >>> list_models("isonet-*1")
        ['isonet-101']
        >>> list_models("r-isonet-[1-3]?")
        ['r-isonet-14', 'r-isonet-18', 'r-isonet-20', 'r-isonet-26', 'r-isonet-32', ...]
    """
    names = list(_weights()) if pretrained else architecture_names()
    if pattern is not None:
        names = [
            name
            for name in names
            if fnmatch.fnmatchcase(name, pattern)
            or fnmatch.fnmatchcase(split_name(name)[0], pattern)
        ]
    return sorted(names, key=_natural)


def info(name: str) -> Record:
    """Return the record of a network or of weights.

    Args:
        name: `architecture.tag`, or an architecture alone: then its default weights if it has
            any, else the record of the untrained network.

    Returns:
        The record; what was never measured or published is empty or None in it.

    Raises:
        UnknownNameError: There is no such network, or no such weights of it; the nearest names
            are given.

    Example:
        >>> record = info("r-isonet-50")
        >>> record.name, f"{record.parameters:,}", record.reported
        ('r-isonet-50.imagenet', '25,526,648', {'top1': 0.7618})
    """
    base, tag = split_name(name)
    if not is_architecture_name(base):
        known = [*_weights(), *architecture_names()]
        raise unknown("model", name, known, "See isozoo.list_models().")
    base = architecture(base).name
    own = {record.tag: record for record in _weights().values() if record.architecture == base}
    if tag is not None and tag not in own:
        names = [record.name for record in own.values()] or list(_weights())
        raise unknown("weights", name, names, f"isozoo.create('{base}') builds it untrained.")
    if tag is None and own:
        tag = min(own, key=_preference)
    return own[tag] if own else Record(base, base, None, **_size_of(base))


def is_known(name: str) -> bool:
    """Return whether a name is an architecture's, with or without any tag.

    Example:
        >>> is_known("isonet-18.imagenet"), is_known("my-folder")
        (True, False)
    """
    return is_architecture_name(split_name(name)[0])


def build_catalog(
    weights: Path | None = None, pins: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """Return the text of `catalog.json`: weights folders, the authors' releases, and pins.

    Args:
        weights: Directory of the weights folders, by default `weights` at the root of the
            repository; one that does not exist holds none.
        pins: Pins by name of the weights, by default those of `pins.json`.

    Raises:
        WeightsError: A folder's manifest is damaged, a file does not match it, or weights are
            pinned that there are none of, or whose files nobody states.
    """
    from isozoo.models.manifest import MANIFEST

    records = _released()
    for folder in (path.parent for path in (weights or WEIGHTS).glob(f"*/{MANIFEST}")):
        found = _record_of(folder)
        if found.name in records:
            released = records[found.name]
            found = replace(found, reported=released.reported, release=released.release)
        records[found.name] = found
    for name, pin in (_read(PINS, {}) if pins is None else pins).items():
        if name not in records:
            raise WeightsError(
                f"{PINS.name} pins '{name}', of which there is neither a weights folder nor a "
                "release; remove the pin or put the folder back"
            )
        records[name] = replace(records[name], **pin)
        if not records[name].files:
            raise WeightsError(
                f"{PINS.name} pins '{name}' without the size and hash of its files, and there is "
                "no weights folder that has them; push it again with --pin"
            )
    ordered = sorted(records.values(), key=lambda record: _natural(record.name))
    return json.dumps([asdict(record) for record in ordered], indent=2) + "\n"


def renew(pins: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Write `catalog.json` anew, in a checkout of the repository.

    Args:
        pins: What to write into `pins.json` first; that stays as it is if None.

    Raises:
        WeightsError: As for `build_catalog`, and nothing was written.
    """
    text = build_catalog(pins=pins)
    if pins is not None:
        atomic_write(PINS, json.dumps(dict(sorted(pins.items())), indent=2) + "\n")
    atomic_write(CATALOG, text)
    _read_weights.cache_clear()


def _released() -> dict[str, Record]:
    """Return the records of the weights that the networks' authors released."""
    listed = _read(RELEASES, {"weights": []})
    records = {}
    for row in listed["weights"]:
        base, tag = split_name(row["name"])
        records[row["name"]] = Record(
            name=row["name"],
            architecture=base,
            tag=tag,
            **_sizes()[base],
            reported={"top1": row["top1"]},
            licence=listed["licence"],
            release=Release(listed["source"], row["file_id"], row["dropout"]),
        )
    return records


def _read(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else otherwise


def _record_of(folder: Path) -> Record:
    from isozoo.models.manifest import RECIPE, read_manifest, verify_files

    manifest = read_manifest(folder)
    verify_files(folder, manifest.files)
    if manifest.tag is None or folder.name != manifest.full_name:
        raise WeightsError(
            f"{folder} holds the weights {manifest.full_name} (tag {manifest.tag}); published "
            "weights have a tag, and their folder has their full name: rename it or write it again"
        )
    files = files_of(folder)
    return Record(
        name=manifest.full_name,
        architecture=manifest.name,
        tag=manifest.tag,
        parameters=manifest.parameters,
        gflops=_size_of(manifest.name)["gflops"],
        metrics=dict(manifest.metrics),
        licence=manifest.licence,
        recipe=f"weights/{manifest.full_name}/{RECIPE}" if RECIPE in files else None,
        files=files,
    )


def files_of(folder: Path) -> dict[str, FileRecord]:
    """Return what a record states of a weights folder's files: its manifest, and what that lists.

    Raises:
        WeightsError: There is no sound manifest.
    """
    from isozoo.models.manifest import MANIFEST, read_manifest

    files = {**read_manifest(folder).files, MANIFEST: FileRecord.of(folder / MANIFEST)}
    return dict(sorted(files.items()))


def _weights() -> Mapping[str, Record]:
    return _read_weights(CATALOG)


@functools.cache
def _read_weights(path: Path) -> Mapping[str, Record]:
    records = [_from_json(record) for record in json.loads(path.read_text(encoding="utf-8"))]
    return MappingProxyType({record.name: record for record in records})


def _from_json(record: dict[str, Any]) -> Record:
    files = {name: FileRecord(**file) for name, file in record["files"].items()}
    release = record["release"] and Release(**record["release"])
    return Record(**{**record, "files": files, "release": release})


def _size_of(name: str) -> dict[str, Any]:
    """Return the size of a network, measured (which needs Keras) if it is not a listed one."""
    if name in _sizes():
        return _sizes()[name]
    from isozoo.models.sizes import measure

    return measure(name)


def _sizes() -> Mapping[str, dict[str, Any]]:
    return _read_sizes(SIZES)


@functools.cache
def _read_sizes(path: Path) -> Mapping[str, dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))


def _natural(name: str) -> list[tuple[int, str]]:
    """Split a name so that `isonet-18` sorts before `isonet-101`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _preference(tag: str | None) -> tuple[int, str]:
    return (TAGS.index(tag) if tag in TAGS else len(TAGS), tag or "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `catalog.json`, or say whether it is fresh; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m isozoo.zoo.catalog")
    parser.add_argument("--write", action="store_true", help="write catalog.json")
    if parser.parse_args(arguments).write:
        renew()
        return 0
    fresh = CATALOG.read_text(encoding="utf-8") == build_catalog()
    print("catalog.json is fresh" if fresh else "catalog.json is stale; run with --write")
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main())
