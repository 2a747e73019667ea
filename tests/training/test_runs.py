"""Finding runs by what they left behind."""

import json
import re

import pytest

from isozoo.errors import DataError
from isozoo.training.runs import find_runs

RECIPE = 'tag = "demo"\nphases = [{ epochs = 2, size = 16 }, { epochs = 3, size = 32 }]\n'


def leave_run(folder, losses, *, finished=False):
    """Write what a run leaves that finished some epochs."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE)
    rows = [
        {"epoch": i + 1, "loss": loss, "seconds": 2.0, "images_per_second": 10.0 + i}
        for i, loss in enumerate(losses)
    ]
    for row in rows[1::2]:
        row["val_accuracy"] = 1 / (1 + row["loss"])
    if rows:
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if finished:
        (folder / folder.name).mkdir()
    return folder


def test_the_latest_numbers_of_each_run(tmp_path):
    leave_run(tmp_path / "b", [3.0, 1.0, 2.0, 3.0, 2.5], finished=True)
    leave_run(tmp_path / "a", [])
    (tmp_path / "not-a-run").mkdir()
    begun, finished = (record.summary() for record in find_runs(tmp_path))
    assert (begun["name"], begun["state"], begun["epoch"], begun["epochs"]) == (
        *("a", "unfinished"),
        *(0, 5),
    )
    assert begun["top1"] is begun["loss"] is begun["images_per_second"] is None
    assert (finished["name"], finished["state"], finished["epoch"]) == ("b", "finished", 5)
    assert (finished["loss"], finished["top1"], finished["best_top1"]) == (2.5, 0.25, 0.5)
    assert (finished["images_per_second"], finished["seconds"]) == (12.0, 10.0)


def test_one_run_by_its_own_folder(tmp_path, monkeypatch):
    folder = leave_run(tmp_path / "a", [1.0])
    assert [record.name for record in find_runs(folder)] == ["a"]
    monkeypatch.chdir(folder)
    assert [record.name for record in find_runs(".")] == ["a"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("log.jsonl", '{"epoch": 1}\n{"epo', "log.jsonl, line 2: expected a JSON object"),
        ("recipe.toml", "tag = ", r"recipe.toml is not a recipe .*put the right one there"),
        ("recipe.toml", 'tag = "x"', r"recipe.toml is not a recipe .*phases"),
    ],
)
def test_one_damaged_run_hides_no_other(tmp_path, file, content, message):
    leave_run(tmp_path / "good", [1.0])
    (leave_run(tmp_path / "bad", [1.0]) / file).write_text(content)
    bad, good = find_runs(tmp_path)
    assert bad.summary()["state"] == "damaged"
    assert re.search(message, bad.fault)
    assert not good.fault


def test_folders_without_runs(tmp_path):
    with pytest.raises(DataError, match=r"no folder at .*none; give the one that `train` got"):
        find_runs(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no runs: no folder in it has a log.jsonl or che"):
        find_runs(tmp_path)
