"""Published weights: pushed byte for byte, pinned, and loaded by their name."""

import json
import logging
import shutil

import pytest

import isozoo
from isozoo.errors import WeightsError
from isozoo.models.manifest import MANIFEST
from isozoo.zoo import catalog
from tests.hub.conftest import NAME, REPOSITORY, contents

# Of httpx, about huggingface_hub's way of calling it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")


def test_pinned_weights_are_loaded_by_their_name(world, published, caplog):
    world.publish(published)
    with caplog.at_level(logging.WARNING, logger="isozoo"):
        model = isozoo.load(NAME)
    assert model.load_report.pinned
    assert model.load_report.source == str(world.cached(MANIFEST).parent)
    assert "vouches" not in caplog.text
    # A newer commit is of no interest until it is asked for.
    newer = world.server.add(REPOSITORY, published)
    assert isozoo.load(NAME).load_report.source.endswith(world.commit)
    model = isozoo.load(NAME, revision="main")
    assert model.load_report.source.endswith(newer)
    assert not model.load_report.pinned
    # The pinned commit is pinned however it is asked for.
    assert isozoo.load(NAME, revision=world.commit).load_report.pinned


def test_published_weights_are_pushed_byte_for_byte(world, published):
    weights = world.place / "weights"
    shutil.copytree(published, weights / NAME)
    world.publish_catalog(weights)
    # What else lies in the folder is nobody's business, and was not verified.
    (weights / NAME / ".env").write_text("TOKEN=1")
    (weights / NAME / "sub").mkdir()
    (weights / NAME / "sub" / "x.py").write_text("1")
    pushed = isozoo.zoo.push(NAME, token="hf_mine", pin=True)
    assert (pushed.name, pushed.repository) == (NAME, REPOSITORY)
    assert world.server.commits[REPOSITORY, pushed.commit] == contents(published)
    record = catalog.info(NAME)
    assert (record.repository, record.commit) == (REPOSITORY, pushed.commit)
    shutil.rmtree(weights)
    assert isozoo.load(NAME).load_report.pinned


def test_converted_weights_are_pinned_with_their_files(world, published, monkeypatch, tmp_path):
    """They are too large for a checkout's weights/, which states the files of the others."""
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path / "home"))
    weights = world.place / "weights"
    weights.mkdir()
    shutil.copytree(published, tmp_path / "home" / "weights" / NAME)
    row = {"name": NAME, "dropout": 0.4, "top1": 0.5, "file_id": "abc"}
    releases = {"source": "us", "licence": "MIT", "weights": [row]}
    (world.place / "releases.json").write_text(json.dumps(releases))
    world.publish_catalog(weights)
    pushed = isozoo.zoo.push(NAME, token="hf_mine", pin=True)
    record = catalog.info(NAME)
    assert record.files == catalog.files_of(published)
    assert (record.commit, record.reported) == (pushed.commit, {"top1": 0.5})
    shutil.rmtree(tmp_path / "home")
    assert isozoo.load(NAME).load_report.pinned


def test_a_pin_is_written_with_the_catalog_or_not_at_all(world, published):
    weights = world.place / "weights"
    shutil.copytree(published, weights / NAME)
    world.publish_catalog(weights)
    shutil.copytree(published, weights / "misnamed")
    before = (catalog.CATALOG.read_text(), catalog.PINS.exists())
    with pytest.raises(
        WeightsError, match=f"is pushed to {REPOSITORY}, commit .*misnamed"
    ) as found:
        isozoo.zoo.push(NAME, token="hf_mine", pin=True)
    assert world.server.branches[REPOSITORY]["main"] in str(found.value)
    assert (catalog.CATALOG.read_text(), catalog.PINS.exists()) == before


def test_a_damaged_folder_is_not_pushed(world, published):
    weights = world.place / "weights"
    shutil.copytree(published, weights / NAME)
    world.publish_catalog(weights)
    (weights / NAME / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"config.json is truncated or changed"):
        isozoo.zoo.push(NAME)
    assert world.server.requests == []


def test_what_is_not_here_cannot_be_pushed(world, published, monkeypatch):
    world.publish(published)
    with pytest.raises(WeightsError, match=f"'{NAME}' has no weights folder on this machine that"):
        isozoo.zoo.push(NAME)
    monkeypatch.setattr(catalog, "WEIGHTS", world.place / "nowhere")
    shutil.copytree(published, world.place / "bundled" / NAME)
    with pytest.raises(WeightsError, match="can be pinned only in a checkout of its repository"):
        isozoo.zoo.push(NAME, pin=True)
    assert world.server.requests == []
