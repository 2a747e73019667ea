"""From a name to the weights folder that holds it: bundled, in a checkout, or anywhere on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from isozoo.errors import UnknownNameError, WeightsError
from isozoo.files import FileRecord
from isozoo.models.manifest import MANIFEST
from isozoo.zoo import catalog

#: Where weights that came with isozoo are: in the wheel, or in a checkout of the repository.
PLACES = (Path(__file__).parent.parent / "bundled", catalog.WEIGHTS)


def locate(name: str | os.PathLike[str]) -> tuple[Path, Mapping[str, FileRecord] | None]:
    """Return the folder that holds the named weights, and what its files must be if known."""
    text = os.fspath(name)
    path = Path(text).expanduser()
    is_path = isinstance(name, os.PathLike) or "/" in text or os.sep in text
    if not is_path and catalog.is_known(text):
        try:
            return _locate_record(catalog.info(text))
        except (UnknownNameError, WeightsError) as error:
            if not (path / MANIFEST).is_file():
                raise
            raise type(error)(
                f"{error}. There is a weights folder of that name here: write './{text}' for it"
            ) from error
    if path.is_dir():
        return path, None
    if is_path:
        found = "it is a file" if path.exists() else "that directory does not exist"
        raise WeightsError(
            f"no weights folder at '{text}': {found}; give the path of a folder that holds "
            f"{MANIFEST}, or one of isozoo.list_models(pretrained=True)"
        )
    return _locate_record(catalog.info(text))


def _locate_record(record: catalog.Record) -> tuple[Path, Mapping[str, FileRecord]]:
    if record.tag is None:
        existing = ", ".join(catalog.list_models(pretrained=True)) or "no network yet"
        raise WeightsError(
            f"'{record.name}' has no weights; weights exist for {existing}. "
            f"isozoo.create('{record.name}') builds it untrained"
        )
    for place in PLACES:
        if (place / record.name / MANIFEST).is_file():
            return place / record.name, record.files
    looked = ", ".join(str(place) for place in PLACES)
    raise WeightsError(
        f"the weights '{record.name}' are not on this machine (looked in {looked}); give the path "
        f"of a folder that holds them, or build it untrained with "
        f"isozoo.create('{record.architecture}')"
    )
