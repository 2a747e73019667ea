import json
import math
import shutil
import signal

import keras
import numpy as np
import pytest

import isozoo
from isozoo.data import ImageFolder
from isozoo.errors import DataError, RecipeError, WeightsError
from isozoo.training import CheckpointError, TrainingInterrupted, evaluate, loop, train
from isozoo.training.checkpoint import Checkpoints
from isozoo.training.evaluation import measure
from isozoo.zoo import catalog


class Killed(Exception):
    """Stands for the machine going away."""


def kill_after(epoch: int, monkeypatch) -> None:
    """Let a run end as if killed once it saved the checkpoint of an epoch."""
    save = Checkpoints.save

    def save_and_die(self, model, position, notes, states=None):
        save(self, model, position, notes, states)
        if position == (epoch, 0):
            raise Killed

    monkeypatch.setattr(Checkpoints, "save", save_and_die)


def test_a_run_learns_and_leaves_a_weights_folder(whole_run, colours):
    assert [row["epoch"] for row in whole_run.log] == [1, 2, 3, 4]
    assert [row["size"] for row in whole_run.log] == [24, 24, 32, 32]
    assert ["val_accuracy" in row for row in whole_run.log] == [False, True, False, True]
    assert all(math.isfinite(value) for row in whole_run.log for value in row.values())
    assert whole_run.log[-1]["loss"] < whole_run.log[0]["loss"]
    # The rate at an epoch's first step: the warm-up starts from nothing, the cosine from its peak.
    assert [round(row["learning_rate"], 4) for row in whole_run.log[:2]] == [0.0, 0.05]
    assert whole_run.metrics["images"] == 12
    assert whole_run.metrics["top1"] == pytest.approx(whole_run.log[-1]["val_accuracy"])
    measured = evaluate(whole_run.directory, colours)
    assert measured.within_tolerance
    assert measured.measured == whole_run.metrics["top1"] == measured.reported
    assert (whole_run.directory / "recipe.toml").read_text().startswith("\ntitle")


def test_checkpoints_that_cannot_be_used(colours, recipe, tmp_path, monkeypatch):
    kill_after(1, monkeypatch)
    with pytest.raises(Killed):
        train(recipe(), colours, tmp_path / "runs")
    monkeypatch.undo()
    with pytest.raises(RecipeError, match="holds a run already; resume it"):
        train(recipe(), colours, tmp_path / "runs")
    with pytest.raises(WeightsError, match=r"another recipe .*batch_size: 8 then, 4 now"):
        train(recipe(batch_size="4"), colours, tmp_path / "runs", resume=True)
    checkpoints = tmp_path / "runs" / "r-isonet-8.colours" / "checkpoints"
    (checkpoints / "epoch-0001" / "checkpoint.json").write_text("{")
    with pytest.raises(WeightsError, match=r"all 1 checkpoints in .* are damaged"):
        train(recipe(), colours, tmp_path / "runs", resume=True)


def finished(whole_run, tmp_path, monkeypatch, before_measuring=lambda: None) -> None:
    """Put a run that has trained to its end where `train` resumes it."""
    shutil.copytree(whole_run.directory.parent, tmp_path / "runs" / whole_run.directory.name)

    def run(self):
        before_measuring()
        return whole_run.model

    monkeypatch.setattr(loop.Fitting, "run", run)


def test_a_signal_during_the_last_measurement(whole_run, colours, recipe, tmp_path, monkeypatch):
    finished(whole_run, tmp_path, monkeypatch, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(
        TrainingInterrupted, match=r"by SIGTERM during the last measurement; .*epoch-0004: repeat"
    ) as error:
        train(recipe(), colours, tmp_path / "runs", resume=True)
    assert error.value.checkpoint.name == "epoch-0004"


def test_a_full_disk_at_the_weights_folder(whole_run, colours, recipe, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    finished(whole_run, tmp_path, monkeypatch)
    monkeypatch.setattr(loop, "write_folder", full)
    name = whole_run.directory.name
    with pytest.raises(
        CheckpointError, match=rf"write .*{name}/{name} \(No space left .*epoch-0004 is .*--resume"
    ):
        train(recipe(), colours, tmp_path / "runs", resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_rollbacks_of_a_run_without_checkpoints(colours, recipe, tmp_path, monkeypatch, resume):
    monkeypatch.setattr(loop.Fitting, "run", lambda self: 1 / 0)
    path = tmp_path / "runs" / "r-isonet-8.colours" / "rollbacks.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(ZeroDivisionError):
        train(recipe(), colours, tmp_path / "runs", resume=resume)
    # Who begins anew has none.
    assert path.exists() == resume


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("left", ["log.jsonl", "r-isonet-8.colours"])
def test_what_is_left_of_a_run_without_checkpoints_is_kept(colours, recipe, tmp_path, left, resume):
    directory = tmp_path / "runs" / "r-isonet-8.colours"
    kept = directory / left / "model.weights.h5" if left != "log.jsonl" else directory / left
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    with pytest.raises(
        RecipeError, match=rf"holds {left} of an earlier run and no checkpoint .*another --out"
    ):
        train(recipe(), colours, tmp_path / "runs", resume=resume)
    assert kept.read_text() == "precious"
    assert [path.name for path in directory.iterdir()] == [left]


def test_other_data_are_not_another_epoch(colours, recipe, tmp_path, monkeypatch):
    kill_after(1, monkeypatch)
    with pytest.raises(Killed):
        train(recipe(), colours, tmp_path / "runs")
    monkeypatch.undo()
    other = tmp_path / "other"
    shutil.copytree(colours, other)
    for split in ("train", "val"):
        (other / split / "red").rename(other / split / "apple")
    with pytest.raises(WeightsError, match=r"other data .*classes: .*'red'.* then, .*'apple'"):
        train(recipe(), other, tmp_path / "runs", resume=True)


def test_splits_must_have_the_same_classes(colours, recipe, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(colours, other)
    (other / "val" / "red").rename(other / "val" / "zred")
    with pytest.raises(DataError, match="train and val have different classes: red, zred"):
        train(recipe(), other, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_equal_logits_are_not_all_right(colours):
    model = isozoo.create("fixup-8", labels=["blue", "green", "red"])
    metrics = measure(model, ImageFolder.open(colours, "val"))
    assert metrics["top1"] == pytest.approx(1 / 3)
    assert metrics["cross_entropy"] == pytest.approx(math.log(3))


def test_logits_that_are_not_finite_are_not_measured(colours):
    model = isozoo.create("fixup-8", labels=["blue", "green", "red"])
    model.head.get_layer("head_fc").bias.assign([math.nan] * 3)
    with pytest.raises(WeightsError, match="logits are not finite"):
        measure(model, ImageFolder.open(colours, "val"))


def test_a_trained_model_is_a_keras_file_too(whole_run, tmp_path):
    whole_run.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(again(images), whole_run.model(images))
    assert int(again.optimizer.iterations) == int(whole_run.model.optimizer.iterations)


def test_other_classes_are_not_measured(whole_run, colours, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(colours, other)
    (other / "val" / "red").rename(other / "val" / "orange")
    with pytest.raises(
        DataError, match=r"classes blue, green, orange.* trained on blue, green, red"
    ):
        evaluate(whole_run.directory, other)


def test_a_false_claim_is_seen(whole_run, colours, tmp_path):
    folder = tmp_path / "claims"
    shutil.copytree(whole_run.directory, folder)
    manifest = json.loads((folder / "isozoo.json").read_text())
    manifest["metrics"]["top1"] = 0.123
    (folder / "isozoo.json").write_text(json.dumps(manifest))
    result = evaluate(folder, colours)
    assert not result.within_tolerance
    assert result.to_dict()["reported"] == 0.123


def test_the_authors_number_is_compared_where_the_folder_has_none(
    whole_run, colours, tmp_path, monkeypatch
):
    folder = tmp_path / "released"
    shutil.copytree(whole_run.directory, folder)
    manifest = json.loads((folder / "isozoo.json").read_text())
    manifest["metrics"] = {}
    (folder / "isozoo.json").write_text(json.dumps(manifest))
    assert evaluate(folder, colours).reported is None
    name, tag = manifest["name"], manifest["tag"]
    record = catalog.Record(f"{name}.{tag}", name, tag, 1, 1.0, reported={"top1": 0.25})
    monkeypatch.setattr(catalog, "_weights", lambda: {record.name: record})
    assert evaluate(folder, colours).reported == 0.25
