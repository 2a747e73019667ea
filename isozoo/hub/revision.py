"""One revision of a repository: what is cached of it, what the server says, and fetching it."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    get_session,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import FileMetadataError, OfflineModeIsEnabled

from isozoo.errors import WeightsError

COMMIT = re.compile("[0-9a-f]{40}")
#: A file's hash, which the Hub gives as its ETag: SHA-1 in git, SHA-256 in large file storage.
ETAG = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
# What git accepts as the name of a branch or tag. huggingface_hub makes a path of it.
_NAME = r"[^\x00-\x20\x7f~^:?*\[\\/.][^\x00-\x20\x7f~^:?*\[\\/]*"
_REVISION = re.compile(rf"(?!.*\.\.){_NAME}(/{_NAME})*")
# Held while the hooks of huggingface_hub's client are changed.
_HOOKS = threading.Lock()
_REPOSITORY = re.compile(r"[A-Za-z0-9]([\w.-]*\w)?/\w([\w.-]*\w)?", re.ASCII)


def is_repository(name: str) -> bool:
    """Return whether a text has the form of a repository's name, `owner/name`.

    Example:
        >>> is_repository("me/my-net"), is_repository("./my-net"), is_repository("my/own/net")
        (True, False, False)
    """
    return _REPOSITORY.fullmatch(name) is not None and ".." not in name and "--" not in name


class Answer(NamedTuple):
    """What the server says of a file, once that has the form of the Hub's answers."""

    commit: str
    etag: str
    size: int | None


@dataclass(frozen=True)
class Revision:
    """One revision of a repository, and how it may be reached.

    Args:
        repository: Name of the repository, `owner/name`.
        revision: Branch, tag or commit.
        cache_dir: Where fetched files are kept; huggingface_hub's cache if None.
        token: Access token of the Hub; the saved one if None, none at all if False.
        local_files_only: Whether never to ask the server.

    Raises:
        WeightsError: The revision is no name that git gives.
    """

    repository: str
    revision: str
    cache_dir: str | os.PathLike[str] | None = None
    token: str | bool | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        """Refuse what would lead out of the cache."""
        if not _REVISION.fullmatch(self.revision):
            raise WeightsError(
                f"{self.revision!r} cannot be a revision of {self.repository}; give the name of a "
                "branch or a tag, or a commit"
            )

    def __str__(self) -> str:
        return f"{self.repository} at {self.revision}"

    @property
    def cache(self) -> Path:
        """The cache's folder."""
        return Path(os.path.expanduser(self.cache_dir or constants.HF_HUB_CACHE))

    def cached(self, name: str) -> Path | None:
        """Return the cached file of that name, right or wrong; None if there is none."""
        found = try_to_load_from_cache(self.repository, name, self.cache, self.revision)
        return Path(found) if isinstance(found, str) else None

    def discard(self, path: Path) -> None:
        """Delete a file of the cache and the blob it links to, nothing outside the repository."""
        blob = path.resolve()
        path.unlink(missing_ok=True)
        if blob.parent == path.parents[2].resolve() / "blobs":
            blob.unlink(missing_ok=True)

    def ask(self, name: str) -> Answer:
        """Ask the server for a file's commit, hash and size.

        Once only: huggingface_hub would ask a server that is down for half a minute.

        Raises:
            WeightsError: The answer is none that the Hub gives, and would not be safe to use.
            OSError: The Hub cannot be asked or answers with an error; or httpx's error.
        """
        if self.local_files_only or constants.HF_HUB_OFFLINE:
            raise OfflineModeIsEnabled
        found = get_hf_file_metadata(self._url(name), token=self.token)
        if found.commit_hash is None or found.etag is None:
            raise FileMetadataError
        pinned = COMMIT.fullmatch(self.revision)
        for what, pattern, value in (
            ("hash", ETAG.pattern, found.etag),
            ("commit", self.revision if pinned else COMMIT.pattern, found.commit_hash),
        ):
            if not re.fullmatch(pattern, value):
                raise WeightsError(
                    f"the server's answer for {name} of {self} is refused: {value!r} cannot be the "
                    f"file's {what}; do not trust {constants.ENDPOINT}"
                )
        return Answer(found.commit_hash, found.etag, found.size)

    def download(self, name: str, answer: Answer) -> Path:
        """Fetch a file into the cache, as long as the server stands by its answer.

        Raises:
            WeightsError: The server gave another answer meanwhile.
            OSError: As for `ask`; or the disk is full, or the cache not writable.
        """
        with _one_same_answer(self._url(name), answer):
            path = hf_hub_download(
                self.repository,
                name,
                revision=self.revision,
                cache_dir=self.cache,
                token=self.token,
                library_name="isozoo",
            )
        return Path(path)

    def _url(self, name: str) -> str:
        return hf_hub_url(self.repository, name, revision=self.revision)


@contextlib.contextmanager
def _one_same_answer(url: str, answer: Answer) -> Iterator[None]:
    """Let huggingface_hub ask for a file once, and hold the server to what it said before.

    hf_hub_download asks for itself, again and again if the server fails, and makes file names of
    what it is told. Its client lets others look at requests and answers as they pass.
    """
    asked = []

    def ask_once(request: Any) -> None:
        if request.method == "HEAD" and request.url == type(request.url)(url):
            asked.append(url)
            if len(asked) > 1:
                raise ConnectionError(f"{constants.ENDPOINT} stopped answering")

    def compare(response: Any) -> None:
        headers = response.headers
        commit = headers.get(constants.HUGGINGFACE_HEADER_X_REPO_COMMIT)
        etag = headers.get(constants.HUGGINGFACE_HEADER_X_LINKED_ETAG) or headers.get("ETag")
        # huggingface_hub takes no answer without both headers, and follows a redirection by path.
        by_path = re.match("/(?!/)", headers.get("Location", "")) and response.is_redirect
        if response.request.method != "HEAD" or commit is None or etag is None or by_path:
            return
        etag = etag.lstrip("W/").strip('"')
        if (commit, etag) != (answer.commit, answer.etag):
            raise WeightsError(
                f"the server changed its answer for {url} between two requests, from {answer.etag} "
                f"to {etag!r}; try again, and if it stays so do not trust {constants.ENDPOINT}"
            )

    with _watching(request=ask_once, response=compare):
        yield


@contextlib.contextmanager
def _watching(**looks: Callable[[Any], None]) -> Iterator[None]:
    """Show the requests and responses of this thread, and of no other, as they pass.

    All threads share huggingface_hub's client, those that have nothing to do with isozoo, too.
    """
    here = threading.get_ident()

    def only_here(look: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda passing: look(passing) if threading.get_ident() == here else None

    ours = {kind: only_here(look) for kind, look in looks.items()}
    hooks = get_session().event_hooks
    # New lists each time: another thread may be going through the old ones.
    with _HOOKS:
        hooks.update({kind: [*hooks[kind], hook] for kind, hook in ours.items()})
    try:
        yield
    finally:
        with _HOOKS:
            for kind, hook in ours.items():
                hooks[kind] = [other for other in hooks[kind] if other is not hook]
