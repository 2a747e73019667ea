"""isozoo prune: a smaller network on disk, and its numbers."""

import json
import shutil

import keras
import pytest

from isozoo import Classifier, architecture
from tests.diagnostics.pictures import write_data


@pytest.fixture
def data(tmp_path):
    root = write_data(tmp_path / "data")
    shutil.copytree(root / "val", root / "train")
    return root


def test_a_smaller_network_and_its_numbers_are_written(isozoo_command, data, tmp_path):
    labels = sorted(folder.name for folder in (data / "train").iterdir())
    model = Classifier(architecture("isonet-8", classes=len(labels)), labels)
    model.save_pretrained(tmp_path / "weights")
    out = tmp_path / "out"
    found = isozoo_command(
        "prune", tmp_path / "weights", "--data", data, "--out", out, "--share", 0.5, "--json"
    )
    assert found.code == 0, found.err
    assert "isozoo: pruning, and accuracy before and after: " in found.err
    assert sorted(path.name for path in out.iterdir()) == [
        "pruned.keras",
        "pruning.json",
        "pruning.png",
    ]
    smaller = keras.saving.load_model(out / "pruned.keras")
    report = json.loads(found.out)
    assert report == json.loads((out / "pruning.json").read_text())
    assert report["parameters"] == [model.count_params(), smaller.count_params()]


def test_data_of_other_classes_and_impossible_shares_are_refused(isozoo_command, data, tmp_path):
    Classifier(architecture("isonet-8", classes=2), ["x", "y"]).save_pretrained(tmp_path / "w")
    found = isozoo_command("prune", tmp_path / "w", "--data", data, "--out", tmp_path / "o")
    assert found.code == 2
    assert "was trained on x, y" in found.err
    found = isozoo_command("prune", "w", "--data", data, "--out", "o", "--share", "1")
    assert "must be at least 0 and below 1, got 1" in found.err
