"""Fetching files whose hashes are known, and the small file that states them."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.hub.failures import HTTPError, is_refusal, one_error, reason
from isozoo.hub.hashes import damage_of, etag_of
from isozoo.hub.revision import COMMIT, ETAG, Revision, is_repository

logger = logging.getLogger(__name__)


def fetch(
    repository: str,
    files: Mapping[str, FileRecord],
    *,
    commit: str,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return a folder that holds files of a repository, each with its size and SHA-256.

    A file that is in the cache and right costs no request. A wrong one is deleted and fetched
    again.

    Args:
        repository: Name of the repository, `owner/name`.
        files: What each file must be, by its plain name; at least one.
        commit: The 40 hexadecimal digits of the repository's commit.
        cache_dir: Where fetched files are kept; huggingface_hub's cache if None.
        token: Access token of the Hub; the saved one if None, none at all if False.
        local_files_only: Whether to take files from the cache only.

    Returns:
        The commit's folder in the cache.

    Raises:
        WeightsError: A file is not to be had, cannot be stored, or is not what it must be.

    Example:
        >>> fetch("me/my-net", {"isozoo.json": FileRecord(2, "0" * 64)}, commit="main")
        Traceback (most recent call last):
        isozoo.errors.WeightsError: 'me/my-net' at 'main' is not a pinned repository; ...
    """
    if not is_repository(repository) or not COMMIT.fullmatch(commit):
        raise WeightsError(
            f"'{repository}' at '{commit}' is not a pinned repository; give owner/name and the 40 "
            "hexadecimal digits of a commit"
        )
    revision = Revision(repository, commit, cache_dir, token, local_files_only)
    paths = [_fetch_pinned(revision, name, record) for name, record in files.items()]
    return paths[0].parent


def fetch_unpinned(
    repository: str,
    name: str,
    *,
    limit: int,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return a small file of a repository as it is now, in the folder of the commit it is from.

    Where the Hub cannot be reached, the file that was the latest when it last could is returned.

    Args:
        repository: Name of the repository, `owner/name`.
        name: Plain name of the file.
        limit: Largest size to accept, in bytes.
        revision: Branch, tag or commit; `main` if None.
        cache_dir: As for `fetch`.
        token: As for `fetch`.
        local_files_only: As for `fetch`.

    Returns:
        The file in the cache; its folder's name is the commit, to `fetch` the others from.

    Raises:
        WeightsError: As for `fetch`, or the file is larger than `limit`.
    """
    asked = "main" if revision is None else revision
    wanted = Revision(repository, asked, cache_dir, token, local_files_only)
    with one_error(f"cannot fetch {name} of {wanted}"):
        cached = wanted.cached(name)
        sound = cached is not None and not _is_changed(cached)
        if cached is not None and sound and COMMIT.fullmatch(wanted.revision):
            return _within(limit, cached, wanted)
        try:
            answer = wanted.ask(name)
        except (HTTPError, OSError) as error:
            if cached is None or not sound or is_refusal(error):
                raise
            logger.info("%s: %s; using what was fetched before", repository, reason(error))
            return _within(limit, cached, wanted)
        if answer.size is not None and answer.size > limit:
            raise _too_large(name, wanted, answer.size, limit)
        if cached is not None and not sound:
            wanted.discard(cached)
        path = wanted.download(name, answer)
        found = etag_of(path, answer.etag)
        if found != answer.etag:
            wanted.discard(path)
            raise WeightsError(
                f"{name} of {wanted} came damaged: expected hash {answer.etag}, found {found} "
                f"({path}, now deleted); try again"
            )
        if path.stat().st_size > limit:
            wanted.discard(path)
            raise _too_large(name, wanted, "more", limit)
        return path


def _fetch_pinned(revision: Revision, name: str, record: FileRecord) -> Path:
    """Return a file of the cache that is what it must be, fetched at most twice."""
    what = f"cannot fetch {name} of {revision}"
    with one_error(what):
        path = revision.cached(name)
        damage = damage_of(path, record) if path is not None else None
        if path is not None and damage is None:
            return path
    with one_error(f"{what} again ({path} is damaged: {damage})" if damage else what):
        answer = revision.ask(name)
        hashed = len(answer.etag) == len(record.sha256)
        if answer.size not in (None, record.size) or (hashed and answer.etag != record.sha256):
            raise WeightsError(
                f"{name} of {revision} is not the file it must be: expected {record.size} bytes "
                f"with sha256 {record.sha256}, the server has {answer.size} bytes with "
                f"{answer.etag}; upgrade isozoo, or look whether HF_ENDPOINT names a true mirror"
            )
        if path is not None:
            revision.discard(path)
        # A second time, because the first may only have linked a wrong blob of the cache.
        for _ in range(2):
            path = revision.download(name, answer)
            damage = damage_of(path, record)
            if damage is None:
                return path
            revision.discard(path)
    raise WeightsError(
        f"{name} of {revision} came damaged twice: {damage} ({path}, now deleted); try again "
        "later, or from another network"
    )


def _within(limit: int, path: Path, revision: Revision) -> Path:
    """Return a cached file, which another program may have fetched, unless it is too large."""
    size = path.stat().st_size
    if size > limit:
        raise _too_large(path.name, revision, size, limit)
    return path


def _too_large(name: str, revision: Revision, size: object, limit: int) -> WeightsError:
    return WeightsError(
        f"{name} of {revision} has {size} bytes, and may have {limit}; this is not a repository "
        "that isozoo wrote"
    )


def _is_changed(path: Path) -> bool:
    """Return whether a cached file differs from the hash that its blob is named by."""
    blob = path.resolve().name
    # A cache without symbolic links does not keep that name: there is nothing to compare with.
    return ETAG.fullmatch(blob) is not None and etag_of(path, blob) != blob
