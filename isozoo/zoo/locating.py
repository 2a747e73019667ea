"""From a name to the weights folder that holds it: here, on the Hub, or released by its authors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from isozoo.errors import UnknownNameError, WeightsError
from isozoo.files import FileRecord
from isozoo.models.manifest import MANIFEST
from isozoo.zoo import catalog
from isozoo.zoo.store import stored

#: Where weights that came with isozoo are: in the wheel, or in a checkout of the repository.
PLACES = (Path(__file__).parent.parent / "bundled", catalog.WEIGHTS)


class Located(NamedTuple):
    """A weights folder on this machine, and what its files must be if that is known."""

    folder: Path
    pins: Mapping[str, FileRecord] | None = None


def locate(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Located:
    """Return the folder that holds the named weights, fetched if it is not on this machine.

    Args:
        name: As for `load`: a name of the catalog, a folder, or a Hub repository `owner/name`.
        revision: Branch, tag or commit of the Hub repository; the catalog's commit, or `main` of a
            repository that is not in the catalog, if None.
        cache_dir: Where fetched files are kept; huggingface_hub's cache if None.
        token: Access token of the Hub; the saved one if None, none at all if False.
        local_files_only: Whether to look on this machine only.

    Raises:
        UnknownNameError: No such network or weights; the nearest names are given.
        WeightsError: The weights are neither here nor to be had, or what was fetched is damaged.
    """
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
        return Located(path)
    if is_path:
        found = "it is a file" if path.exists() else "that directory does not exist"
        raise WeightsError(
            f"no weights folder at '{text}': {found}; give the path of a folder that holds "
            f"{MANIFEST}, or one of isozoo.list_models(pretrained=True)"
        )
    return _locate_record(catalog.info(text))


def _locate_record(record: catalog.Record) -> Located:
    if record.tag is None:
        existing = ", ".join(catalog.list_models(pretrained=True)) or "no network yet"
        raise WeightsError(
            f"'{record.name}' has no weights; weights exist for {existing}. "
            f"isozoo.create('{record.name}') builds it untrained"
        )
    for place in PLACES:
        if (place / record.name / MANIFEST).is_file():
            return Located(place / record.name, record.files)
    converted = stored(record.name)
    if converted is not None:
        return Located(converted)
    looked = ", ".join(str(place) for place in PLACES)
    raise WeightsError(
        f"the weights '{record.name}' are not on this machine (looked in {looked}); give the path "
        f"of a folder that holds them, or build it untrained with "
        f"isozoo.create('{record.architecture}')"
    )
