"""The weights in this repository are what their recipes and logs say, and so are new ones."""

import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import Image

import isozoo
from isozoo.errors import MissingExtraError, WeightsError
from isozoo.files import FileRecord
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.golden import golden_difference
from isozoo.models.manifest import CARD, CURVE, LOG, OPTIONAL, RECIPE, read_manifest

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = "r-isonet-18-w32.imagenette"
FOLDERS = sorted(path.parent for path in (ROOT / "weights").glob("*/isozoo.json"))

published = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.fixture
def publish(monkeypatch):
    """The function that publishes a run's folder."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delitem(sys.modules, "publish_weights", raising=False)
    from publish_weights import publish

    return publish


@pytest.fixture
def run(weights, tmp_path):
    """What `isozoo train` leaves: everything but a licence."""
    said = load_folder(weights / "r-isonet-8.pets").provenance
    write_folder(
        isozoo.create("r-isonet-8", classes=3),
        tmp_path / "run",
        tag="pets",
        metrics=said.metrics,
        recipe=said.recipe,
        log=said.log,
    )
    return tmp_path / "run"


def test_the_bundled_weights_are_published_and_small():
    assert BUNDLED in [folder.name for folder in FOLDERS]
    files = (ROOT / "weights" / BUNDLED).rglob("*")
    assert sum(path.stat().st_size for path in files) <= 12e6


@published
def test_the_network_answers_as_when_it_was_written(folder):
    assert golden_difference(load_folder(folder), folder) < 1e-4


@published
def test_the_recipe_is_the_one_in_the_repository(folder):
    recipe = ROOT / "recipes" / f"{folder.name}.toml"
    assert recipe.read_bytes() == (folder / RECIPE).read_bytes()


@published
def test_everything_is_listed_and_there_but_the_card(folder):
    files = read_manifest(folder).files
    assert {*OPTIONAL} <= set(files)
    assert {path.name for path in folder.iterdir()} == {*files, "isozoo.json", CARD}
    assert {name: FileRecord.of(folder / name) for name in files} == files


def test_a_run_is_published_with_its_licence_and_its_learning_curve(publish, run, tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the extra `train`")
    target = publish(run, "MIT", tmp_path / "weights")
    assert target == tmp_path / "weights" / "r-isonet-8.pets"
    before, after = read_manifest(run), read_manifest(target)
    assert (before.licence, after.licence) == (None, "MIT")
    assert (after.tag, after.metrics) == (before.tag, before.metrics)
    assert after.files.keys() == before.files.keys() >= {RECIPE, LOG, CURVE}
    for name in (RECIPE, LOG):
        assert (target / name).read_bytes() == (run / name).read_bytes()
    # Publishing what is published changes nothing.
    assert read_manifest(publish(target, "MIT", tmp_path / "weights")) == after


def test_rounded_weights_are_published_with_what_was_measured_on_them(publish, run, tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the extra `train`")
    for number in range(6):
        path = tmp_path / "data" / "val" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (40 * number, 0, 0)).save(path)
    target = publish(
        run, "MIT", tmp_path / "weights", storage="float16", data=str(tmp_path / "data")
    )
    before, after = read_manifest(run), read_manifest(target)
    assert (after.storage, after.tag, after.metrics["images"]) == ("float16", before.tag, 6)
    assert after.fingerprint != before.fingerprint
    assert load_folder(target).provenance.log == load_folder(run).provenance.log


@pytest.mark.parametrize("lost", [RECIPE, LOG])
def test_a_run_without_its_history_is_not_published(publish, run, tmp_path, lost):
    (run / lost).unlink()
    with pytest.raises(WeightsError, match=f"cannot be published: it has no {lost}; publish the"):
        publish(run, "MIT", tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_weights_without_a_learning_curve_are_not_published(publish, run, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib: .*'isozoo\[train\]'"):
        publish(run, "MIT", tmp_path / "weights")
