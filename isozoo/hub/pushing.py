"""Pushing a folder to a repository."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.hf_api import RepoFile

from isozoo.errors import WeightsError
from isozoo.hub.failures import one_error
from isozoo.hub.hashes import etag_of


def push(
    folder: str | os.PathLike[str],
    repository: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    commit_message: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    names: Iterable[str] | None = None,
    stale: Iterable[str] = (),
) -> CommitInfo:
    """Upload a folder's files as one new commit, and compare what the Hub then has with them.

    Other files of the repository stay, but for those that `stale` names.

    Args:
        folder: The folder.
        repository: Name of the repository, made if needed; without owner, the token's user's.
        private: Whether a new repository is private; the owner's default if None.
        token: Access token with the right to write; the saved one if None.
        commit_message: First line of the commit's message.
        revision: Branch, made if needed; `main` if None.
        create_pr: Whether to open a pull request instead.
        names: Plain names of the files to upload, where the folder has them; all its files, but
            not its folders, if None.
        stale: Plain names of files that the same commit deletes, where the folder lacks them.

    Returns:
        The commit: `oid` is its name, `commit_url` its page, `pr_url` the pull request's.

    Raises:
        WeightsError: The Hub cannot be reached, refuses, or does not have what was sent.
    """
    wanted = None if names is None else set(names)
    paths = sorted(
        path
        for path in Path(folder).iterdir()
        if path.is_file() and (wanted is None or path.name in wanted)
    )
    api = HfApi(token=token, library_name="isozoo")
    with one_error(f"cannot push to {repository}"):
        repository = api.create_repo(repository, private=private, exist_ok=True).repo_id
        if revision is not None and not revision.startswith("refs/"):
            api.create_branch(repository, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=Path(folder),
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
            allow_patterns=[glob.escape(path.name) for path in paths],
            delete_patterns=[n for n in stale if not Path(folder, n).is_file()] or None,
        )
        entries = api.get_paths_info(repository, [path.name for path in paths], revision=commit.oid)
        there = {
            entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
            for entry in entries
            if isinstance(entry, RepoFile)
        }
        wrong = [p.name for p in paths if there.get(p.name) != etag_of(p, there.get(p.name, ""))]
    if wrong:
        raise WeightsError(
            f"{repository} at {commit.oid} does not have what was pushed: {', '.join(wrong)} "
            "differ; push again, and do not use this commit"
        )
    return commit
