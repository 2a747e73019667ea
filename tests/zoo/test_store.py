"""Where converted weights and fetched checkpoints are kept."""

import threading
from pathlib import Path

import pytest

from isozoo.models.manifest import MANIFEST
from isozoo.zoo.store import downloads_directory, locked, store_directory, stored


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path))
    return tmp_path


def test_the_store_is_where_the_environment_says(home, monkeypatch):
    assert store_directory() == home / "weights"
    assert downloads_directory() == home / "downloads"
    monkeypatch.setenv("ISOZOO_HOME", "~/other")
    assert store_directory() == Path.home() / "other" / "weights"


@pytest.mark.parametrize("value", [None, ""])
def test_the_store_is_in_the_home_folder_otherwise(monkeypatch, value):
    monkeypatch.delenv("ISOZOO_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("ISOZOO_HOME", value)
    assert store_directory() == Path.home() / ".isozoo" / "weights"


def test_asking_for_what_is_stored_writes_nothing(home):
    assert stored("r-isonet-8.pets") is None
    assert list(home.iterdir()) == []


def test_only_a_weights_folder_is_stored(home):
    folder = store_directory() / "r-isonet-8.pets"
    folder.mkdir(parents=True)
    assert stored("r-isonet-8.pets") is None
    (folder / MANIFEST).touch()
    assert stored("r-isonet-8.pets") == folder


def test_two_do_not_work_on_the_same_weights_at_once(home):
    order = []

    def second():
        with locked("r-isonet-8.pets"):
            order.append("second")

    with locked("r-isonet-8.pets"), locked("r-isonet-8.pets"), locked("r-isonet-8.cats"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
