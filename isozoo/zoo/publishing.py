"""Publishing weights folders: to the Hub byte for byte, and into the catalog as a pin."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from isozoo import hub
from isozoo.errors import WeightsError
from isozoo.models.manifest import CARD, MANIFEST, OPTIONAL, read_manifest, verify_files
from isozoo.zoo import catalog, locating
from isozoo.zoo.store import store_directory


class Published(NamedTuple):
    """Where weights were published: what a catalog pins.

    Args:
        name: Name of the weights, `architecture.tag`.
        repository: Repository of the Hub, `owner/name`.
        commit: The repository's new commit.
        url: The commit's page.
    """

    name: str
    repository: str
    commit: str
    url: str


def push(
    name: str,
    repository: str | None = None,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    pin: bool = False,
) -> Published:
    """Upload a published weights folder byte for byte, after every file was verified.

    Its card, which people may edit, goes with it; whatever else lies in the folder does not.

    Args:
        name: Name of weights that are in a checkout, in the package, or converted here.
        repository: Repository to write, `owner/name`, made if needed; the token's user's
            repository of the weights' name if None.
        private: Whether a new repository is private; the owner's default if None.
        token: Access token with the right to write; the saved one if None.
        pin: Whether to write the commit into the catalog's pins and renew the catalog, which only
            a checkout of isozoo can.

    Returns:
        The repository and its new commit.

    Raises:
        UnknownNameError: No such weights.
        WeightsError: The folder is not here or damaged, the Hub refuses or cannot be reached, or
            there is no checkout whose catalog could be renewed.

    Example:
        >>> push("vanilla-101")
        Traceback (most recent call last):
        isozoo.errors.WeightsError: 'vanilla-101' has no weights folder on this machine ...
    """
    record = catalog.info(name)
    folder = _folder_of(record.name)
    if pin and not catalog.WEIGHTS.is_dir():
        raise WeightsError(
            f"the catalog of an installed isozoo is not renewed: '{record.name}' can be pinned "
            "only in a checkout of its repository"
        )
    files = record.files or read_manifest(folder).files
    verify_files(folder, files)
    commit = hub.push(
        folder,
        repository or record.name,
        private=private,
        token=token,
        commit_message=f"{record.name}, as isozoo publishes it",
        names={*files, MANIFEST, CARD},
        stale=OPTIONAL,
    )
    published = Published(record.name, commit.repo_url.repo_id, commit.oid, commit.commit_url)
    if pin:
        try:
            _pin(published, folder)
        except (WeightsError, OSError) as error:
            raise WeightsError(
                f"'{record.name}' is pushed to {published.repository}, commit {published.commit}, "
                f"but not pinned: {error}. Put that right and push again"
            ) from error
    return published


def _folder_of(name: str) -> Path:
    for place in (*locating.PLACES, store_directory()):
        if (place / name).is_dir():
            return place / name
    raise WeightsError(
        f"'{name}' has no weights folder on this machine that could be pushed; see "
        "isozoo.list_models(pretrained=True), or push your own with model.push_to_hub()"
    )


def _pin(published: Published, folder: Path) -> None:
    """Write the commit into `pins.json`, and the catalog that follows from it."""
    pins = json.loads(catalog.PINS.read_text("utf-8")) if catalog.PINS.is_file() else {}
    pins[published.name] = {"repository": published.repository, "commit": published.commit}
    if folder.parent != catalog.WEIGHTS:
        # Too large for the checkout, from which the catalog takes the files of other weights.
        files = catalog.files_of(folder).items()
        pins[published.name]["files"] = {name: asdict(record) for name, record in files}
    catalog.renew(pins)
