"""Networks from and to repositories of the Hugging Face Hub."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from isozoo import hub
from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.models.manifest import FETCHED, MANIFEST, OPTIONAL, read_manifest

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from isozoo.models.classifier import Classifier

logger = logging.getLogger(__name__)

#: Largest `isozoo.json` that is read from a stranger, in bytes; one of 1000 classes has 0.1 MB.
MANIFEST_LIMIT = 4 * 2**20


def find_folder(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> tuple[Path, Mapping[str, FileRecord] | None]:
    """Return a folder on this machine, or else the repository of that name, fetched.

    Args:
        source: Path of a folder, or name of a repository, `owner/name`. A folder that exists goes
            before the repository.
        revision: As for `fetch_folder`.
        cache_dir: As for `fetch_folder`.
        token: As for `fetch_folder`.
        local_files_only: As for `fetch_folder`.

    Returns:
        The folder, and what every file must be if that is known from elsewhere.

    Raises:
        WeightsError: There is neither a folder nor a repository of that name, the repository is
            not to be had, or `revision` is given for a folder.
    """
    text = os.fspath(source)
    # Of a text that cannot be a path os.path says that nothing is there, where Path raises.
    path = Path(os.path.expanduser(text))
    exists = os.path.exists(path)
    if os.path.isdir(path):
        if revision is not None:
            raise WeightsError(
                f"'{text}' is a folder here, which has no revision '{revision}'; leave it out, or "
                "start in another directory to have the Hub repository of that name"
            )
        return path, None
    if isinstance(source, os.PathLike) or exists or not hub.is_repository(text):
        found = "it is a file" if exists else "that directory does not exist"
        raise WeightsError(
            f"no weights folder at '{text}': {found}; give the path of a folder that holds "
            f"{MANIFEST}, a Hub repository owner/name, or, to isozoo.load, one of "
            "isozoo.list_models(pretrained=True)"
        )
    try:
        return fetch_folder(
            text,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
    except WeightsError as error:
        raise WeightsError(f"{error}. Nor is there a folder '{text}' here") from error


def fetch_folder(
    repository: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> tuple[Path, Mapping[str, FileRecord]]:
    """Fetch the weights folder that a repository holds now; nothing but itself vouches for it.

    Every file is what the repository's `isozoo.json` says, and `isozoo.json` is believed. A
    warning says so, and which commit it was.

    Args:
        repository: Name of the repository, `owner/name`.
        revision: Branch, tag or commit; `main` if None.
        cache_dir: Where fetched files are kept; huggingface_hub's cache if None.
        token: Access token of the Hub; the saved one if None, none at all if False.
        local_files_only: Whether to take files from the cache only.

    Returns:
        The folder, with the files that loading reads, and what every file must be.

    Raises:
        WeightsError: The repository is not to be had or holds no weights folder.
    """
    path = hub.fetch_unpinned(
        repository,
        MANIFEST,
        limit=MANIFEST_LIMIT,
        revision=revision,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )
    folder = path.parent
    stated = read_manifest(folder).files
    hub.fetch(
        repository,
        {name: stated[name] for name in FETCHED if name in stated},
        commit=folder.name,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )
    stay = "" if revision == folder.name else f"; give revision='{folder.name}' to stay there"
    logger.warning(
        "%s at %s is not pinned by isozoo's catalog: nothing but its own %s vouches for it%s",
        repository,
        folder.name,
        MANIFEST,
        stay,
    )
    return folder, stated


def push_network(
    model: Classifier,
    repository: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    commit_message: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
) -> CommitInfo:
    """Write a model's weights folder and push it; the arguments are those of `hub.push`.

    The repository's owner must be given: the folder's card says how to load it from there.
    """
    from isozoo.models.folder import write_folder

    if not hub.is_repository(repository):
        raise WeightsError(
            f"cannot push to '{repository}', which is no name of a Hub repository; give owner/name"
        )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "weights")
        write_folder(model, folder, repository=repository)
        return hub.push(
            folder,
            repository,
            private=private,
            token=token,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
            stale=OPTIONAL,
        )
