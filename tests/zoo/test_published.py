"""The weights in this repository are what their recipes, logs and cards say."""

import json
from pathlib import Path

import pytest

from isozoo.models.folder import load_folder
from isozoo.models.golden import golden_difference
from isozoo.models.manifest import read_manifest
from isozoo.zoo.cards import card

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = "r-isonet-18-w32.imagenette"
FOLDERS = sorted(path.parent for path in (ROOT / "weights").glob("*/isozoo.json"))

published = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


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
    assert recipe.read_bytes() == (folder / "recipe.toml").read_bytes()


@published
def test_the_card_is_made_of_the_manifest_and_the_log(folder):
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert (folder / "README.md").read_text("utf-8") == card(read_manifest(folder), log)
