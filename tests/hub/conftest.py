"""A world of its own for each test: a Hub on loopback, an empty cache, a catalog that pins."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from huggingface_hub import close_session, constants

from isozoo import hub
from isozoo.files import FileRecord
from isozoo.models.folder import write_folder
from isozoo.models.manifest import MANIFEST, REQUIRED, read_manifest
from isozoo.zoo import catalog, locating
from tests.hub.stand_in import StandIn
from tests.zoo.conftest import small_network

NAME = "r-isonet-8.pets"
REPOSITORY = f"me/{NAME}"

FETCH = """
import json, sys
from isozoo import hub
from isozoo.files import FileRecord
repository, commit, files = json.loads(sys.stdin.read())
hub.fetch(repository, {name: FileRecord(*record) for name, record in files}, commit=commit)
"""


class World:
    """What a test may use: the server, the cache, and a pinned repository on that server."""

    def __init__(self, server, place, patch):
        self.server = server
        self.place = place
        self.patch = patch
        self.commit = ""
        self.files = {}

    def asked(self):
        """Return the requests for files, without those that huggingface_hub makes for itself."""
        return [
            (verb, path)
            for verb, path in self.server.requests
            if "/resolve/" in path or "/storage/" in path
        ]

    @property
    def cache(self):
        return self.place / "home" / "hub"

    def publish(self, folder):
        """Put a weights folder on the server and its pin into the catalog."""
        weights = self.place / "weights"
        shutil.copytree(folder, weights / NAME)
        self.commit = self.server.add(REPOSITORY, weights / NAME)
        needed = (MANIFEST, *REQUIRED)
        self.files = {name: FileRecord.of(weights / NAME / name) for name in needed}
        pins = {NAME: {"repository": REPOSITORY, "commit": self.commit}}
        (self.place / "pins.json").write_text(json.dumps(pins))
        self.publish_catalog(weights)
        shutil.rmtree(weights)

    def publish_catalog(self, weights):
        """Make the catalog that of a checkout whose weights folders are those."""
        for name in ("catalog", "pins", "releases"):
            self.patch(catalog, name.upper(), self.place / f"{name}.json")
        self.patch(catalog, "WEIGHTS", weights)
        self.patch(locating, "PLACES", (self.place / "bundled", weights))
        (self.place / "catalog.json").write_text(catalog.build_catalog(weights))

    def fetch(self):
        return hub.fetch(REPOSITORY, self.files, commit=self.commit)

    def cached(self, name):
        """Return the cached file: a link to its blob."""
        return self.cache / "models--me--r-isonet-8.pets" / "snapshots" / self.commit / name

    def incomplete(self):
        return list(self.cache.rglob("*.incomplete"))

    def forbid_network(self):
        self.patch(constants, "HF_HUB_OFFLINE", True)

    def environment(self):
        """Return the environment of a process that sees the same Hub and cache."""
        return os.environ | {
            "HF_ENDPOINT": self.server.url,
            "HF_HOME": str(self.place / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }

    def start_fetching(self):
        """Start a process that fetches the pinned files, without Keras."""
        process = subprocess.Popen(
            [sys.executable, "-c", FETCH],
            stdin=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        files = [(name, (record.size, record.sha256)) for name, record in self.files.items()]
        assert process.stdin is not None
        process.stdin.write(json.dumps([REPOSITORY, self.commit, files]))
        process.stdin.close()
        return process

    def outside(self):
        """Return every file outside the cache, with its content."""
        return {
            path: path.read_bytes()
            for path in self.place.rglob("*")
            if path.is_file() and self.place / "home" not in path.parents
        }


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A weights folder, as it is published."""
    folder = tmp_path_factory.mktemp("published") / NAME
    write_folder(small_network(), folder, tag="pets", metrics={"top1": 0.5}, licence="MIT")
    return folder


@pytest.fixture
def server():
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture
def world(server, tmp_path, monkeypatch):
    """The world of one test, in which huggingface_hub knows of no other Hub and no token."""
    for name, value in {
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "home" / "hub"),
        "HF_TOKEN_PATH": str(tmp_path / "home" / "token"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(constants, name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path / "isozoo"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    close_session()
    yield World(server, tmp_path, monkeypatch.setattr)
    close_session()


def bless(folder):
    """Make `isozoo.json` agree with the folder's files, as someone who edits a folder might."""
    data = json.loads((folder / MANIFEST).read_text())
    for name in read_manifest(folder).files:
        record = FileRecord.of(folder / name)
        data["files"][name] = {"size": record.size, "sha256": record.sha256}
    (folder / MANIFEST).write_text(json.dumps(data))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
