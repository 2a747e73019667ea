"""From a name to the weights folder that holds it: here, on the Hub, or released by its authors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from isozoo.errors import UnknownNameError, WeightsError
from isozoo.files import FileRecord
from isozoo.models.manifest import FETCHED, MANIFEST
from isozoo.zoo import catalog
from isozoo.zoo.store import store_directory, stored

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
    hub_options = _HubOptions(revision, cache_dir, token, local_files_only)
    text = os.fspath(name)
    # Of a text that cannot be a path os.path says that nothing is there, where Path raises.
    path = Path(os.path.expanduser(text))
    is_path = isinstance(name, os.PathLike) or "/" in text or os.sep in text
    if is_path or (os.path.isdir(path) and not catalog.is_known(text)):
        from isozoo.models.repository import find_folder

        return Located(*find_folder(name, **hub_options._asdict()))
    try:
        return _locate_record(catalog.info(text), hub_options)
    except (UnknownNameError, WeightsError) as error:
        if not os.path.isfile(path / MANIFEST):
            raise
        raise type(error)(
            f"{error}. There is a weights folder of that name here: write './{text}' for it"
        ) from error


class _HubOptions(NamedTuple):
    """The options of `locate`, which are those of every function that fetches from the Hub."""

    revision: str | None
    cache_dir: str | os.PathLike[str] | None
    token: str | bool | None
    local_files_only: bool


def _locate_record(record: catalog.Record, options: _HubOptions) -> Located:
    if record.tag is None:
        existing = ", ".join(catalog.list_models(pretrained=True)) or "no network yet"
        raise WeightsError(
            f"'{record.name}' has no weights; weights exist for {existing}. "
            f"isozoo.create('{record.name}') builds it untrained"
        )
    if options.revision is not None:
        return _locate_revision(record, options)
    for place in PLACES:
        if (place / record.name / MANIFEST).is_file():
            # The record of a mere release states no files.
            return Located(place / record.name, record.files or None)
    converted = stored(record.name)
    if converted is not None:
        return Located(converted)
    if record.repository is not None and record.commit is not None:
        return _locate_pinned(record, record.repository, record.commit, options)
    if record.release is not None and not options.local_files_only:
        # PyTorch and gdown are an extra, and take seconds to import.
        from isozoo.zoo.convert import convert_release

        return Located(convert_release(record))
    looked = ", ".join(str(place) for place in (*PLACES, store_directory()))
    ways = [
        "give the path of a folder that holds them",
        f"build it untrained with isozoo.create('{record.architecture}')",
    ]
    if record.release is not None:
        ways.insert(0, f"make them from the authors' release with `isozoo convert {record.name}`")
    raise WeightsError(
        f"the weights '{record.name}' are not on this machine (looked in {looked}) and on no Hub; "
        f"{', '.join(ways[:-1])}, or {ways[-1]}"
    )


def _locate_revision(record: catalog.Record, options: _HubOptions) -> Located:
    """Return the asked revision of published weights, for which the catalog seldom vouches."""
    from isozoo.models.repository import fetch_folder

    if record.repository is None:
        raise WeightsError(
            f"the weights '{record.name}' are not on the Hub, so that there is no revision "
            f"'{options.revision}' of them; leave revision out"
        )
    if record.commit is not None and options.revision == record.commit:
        return _locate_pinned(record, record.repository, record.commit, options)
    return Located(*fetch_folder(record.repository, **options._asdict()))


def _locate_pinned(
    record: catalog.Record, repository: str, commit: str, options: _HubOptions
) -> Located:
    """Return the very files that the catalog describes, of those that loading reads."""
    from isozoo import hub

    folder = hub.fetch(
        repository,
        {name: record.files[name] for name in (MANIFEST, *FETCHED) if name in record.files},
        commit=commit,
        cache_dir=options.cache_dir,
        token=options.token,
        local_files_only=options.local_files_only,
    )
    return Located(folder, record.files)
