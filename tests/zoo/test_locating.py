"""Where weights are looked for, in which order, and what is said when they are nowhere."""

import dataclasses
import json
import shutil

import pytest

from isozoo import hub
from isozoo.errors import WeightsError
from isozoo.models import repository
from isozoo.models.manifest import LOG, MANIFEST, RECIPE, REQUIRED
from isozoo.zoo import catalog, convert, locating, store
from isozoo.zoo.locating import locate

NAME = "r-isonet-8.pets"
COMMIT = "0123456789" * 4
OPTIONS = {"cache_dir": "cache", "token": "hf_mine", "local_files_only": True}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A store of its own for each test."""
    monkeypatch.setenv(store.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def nowhere(zoo, tmp_path, monkeypatch):
    """The small zoo's catalog, on a machine that has none of its weights."""
    monkeypatch.setattr(locating, "PLACES", (tmp_path / "bundled", tmp_path / "weights"))
    return zoo


def change_record(monkeypatch, **changes):
    """Change what the catalog says of the weights."""
    records = json.loads(catalog.CATALOG.read_text())
    path = catalog.CATALOG.with_name(f"{catalog.CATALOG.stem}-changed.json")
    for record in records:
        if record["name"] == NAME:
            record.update(changes)
    path.write_text(json.dumps(records))
    monkeypatch.setattr(catalog, "CATALOG", path)


@pytest.fixture
def fetched(monkeypatch):
    """What is asked of the Hub, instead of asking."""
    calls = []

    def fetch(*arguments, **options):
        calls.append((arguments, options))
        return "from the hub"

    def fetch_folder(*arguments, **options):
        calls.append((arguments, options))
        return "from the hub", {}

    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(repository, "fetch_folder", fetch_folder)
    return calls


def test_weights_that_came_with_isozoo_are_pinned(zoo):
    found = locate(NAME)
    assert found.folder == zoo / NAME
    assert found.pins == catalog.info(NAME).files


def test_a_record_that_states_no_files_vouches_for_none(zoo, monkeypatch):
    change_record(monkeypatch, files={})
    assert locate(NAME) == (zoo / NAME, None)


def test_converted_weights_go_before_the_hub(nowhere, home, fetched, monkeypatch):
    change_record(monkeypatch, repository="me/pets", commit=COMMIT)
    shutil.copytree(nowhere / NAME, home / "weights" / NAME)
    assert locate(NAME) == (home / "weights" / NAME, None)
    assert fetched == []


def test_published_weights_are_fetched_as_they_are_pinned(nowhere, fetched, monkeypatch):
    change_record(monkeypatch, repository="me/pets", commit=COMMIT)
    record = catalog.info(NAME)
    assert locate(NAME, **OPTIONS) == ("from the hub", record.files)
    needed = {name: record.files[name] for name in (MANIFEST, *REQUIRED, RECIPE, LOG)}
    assert fetched == [(("me/pets", needed), {"commit": COMMIT, **OPTIONS})]


def test_another_revision_is_fetched_though_weights_are_here(zoo, fetched, monkeypatch):
    change_record(monkeypatch, repository="me/pets", commit=COMMIT)
    assert locate(NAME, revision="main", **OPTIONS) == ("from the hub", {})
    assert fetched == [(("me/pets",), {"revision": "main", **OPTIONS})]


def test_there_is_no_other_revision_of_what_is_not_on_the_hub(zoo, fetched):
    with pytest.raises(WeightsError, match=f"'{NAME}' are not on the Hub, .* leave revision out"):
        locate(NAME, revision="main")
    assert fetched == []


def test_the_authors_release_comes_last(nowhere, fetched, monkeypatch):
    release = catalog.Release("https://github.com/them/theirs", "1a2b", 0.0)
    change_record(monkeypatch, release=dataclasses.asdict(release))
    monkeypatch.setattr(convert, "convert_release", lambda record: record.release)
    assert locate(NAME) == (release, None)
    ways = (
        f"on no Hub; make them from the authors' release with `isozoo convert {NAME}`, give the "
        "path of a folder that holds them, or build it untrained with isozoo.create"
    )
    with pytest.raises(WeightsError, match=ways):
        locate(NAME, local_files_only=True)
    change_record(monkeypatch, repository="me/pets", commit=COMMIT)
    assert locate(NAME).folder == "from the hub"


def test_a_repository_is_a_name_with_an_owner(zoo, fetched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("me/pets", revision="v2", **OPTIONS).folder == "from the hub"
    assert fetched == [(("me/pets",), {"revision": "v2", **OPTIONS})]
    (tmp_path / "me" / "pets").mkdir(parents=True)
    assert locate("me/pets").folder.samefile(tmp_path / "me" / "pets")


def test_a_path_is_never_a_repository(zoo, fetched, tmp_path):
    for name in (tmp_path / "pets", "./pets", "/nowhere/pets", "../me/pets"):
        with pytest.raises(WeightsError, match=r"no weights folder at .*that directory does not"):
            locate(name)
    assert fetched == []
