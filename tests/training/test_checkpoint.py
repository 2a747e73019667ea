"""Checkpoints on disk: whole or absent, the newest kept, others refused in words."""

import json

import keras
import numpy as np
import pytest

from isozoo.errors import WeightsError
from isozoo.files import sha256_file
from isozoo.training import CheckpointError
from isozoo.training.checkpoint import Checkpoints, Position
from isozoo.training.divergence import Rollbacks


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The smallest model with an optimiser and a random state."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
    model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    return model


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_disk(monkeypatch, error: Exception) -> None:
    def full(*arguments, **options):
        raise error

    monkeypatch.setattr("isozoo.training.checkpoint.np.savez", full)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        # What h5py makes of the same as it closes a file.
        RuntimeError("Can't decrement id ref count (errno = 28, 'No space left on device')"),
    ],
)
def test_a_full_disk_leaves_the_last_checkpoint(model, tmp_path, monkeypatch, error):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, Position(1), {})
    before = sha256_file(tmp_path / "epoch-0001" / "model.weights.h5")
    full_disk(monkeypatch, error)
    with pytest.raises(
        CheckpointError, match=r"epoch-0001-step-00000007 .*No space left.*epoch-0001 is untouched"
    ):
        checkpoints.save(model, Position(1, 7), {})
    assert names(tmp_path) == ["epoch-0001"]
    assert sha256_file(tmp_path / "epoch-0001" / "model.weights.h5") == before


def test_a_disk_that_was_full_from_the_beginning(model, tmp_path, monkeypatch):
    full_disk(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        Checkpoints(tmp_path).save(model, Position(1), {})


def test_only_the_newest_checkpoints_are_kept(model, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for position in (Position(9999), Position(10000), Position(10000, 5), Position(10001)):
        checkpoints.save(model, position, {})
    assert names(tmp_path) == ["epoch-10000-step-00000005", "epoch-10001"]
    # Going on from an earlier one: what was passed over does not come before what is written now.
    checkpoints.save(model, Position(10000, 7), {})
    assert names(tmp_path) == ["epoch-10000-step-00000005", "epoch-10000-step-00000007"]


def test_what_was_saved_is_what_is_loaded(model, tmp_path):
    checkpoints = Checkpoints(tmp_path, {"seed": 1})
    checkpoints.save(model, Position(2, 3), {"seconds": 0.1})
    saved = [np.array(v) for v in [*model.variables, *model.optimizer.variables]]
    model.fit(np.ones((2, 2)), np.zeros((2, 1)), verbose=0)
    found = checkpoints.newest()
    assert found is not None
    assert (found.position, found.notes) == (Position(2, 3), {"seconds": 0.1})
    metrics = found.load(model)
    for variable, value in zip(model.metrics_variables, metrics, strict=True):
        variable.assign(value)
    for variable, value in zip([*model.variables, *model.optimizer.variables], saved, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_settings_that_say_nothing_are_no_others(model, tmp_path):
    Checkpoints(tmp_path, {"cache": None, "model": {"name": "a"}}).save(model, Position(1), {})
    asked = Checkpoints(tmp_path, {"model": {"name": "a", "activation": None}})
    assert asked.newest() is not None
    with pytest.raises(WeightsError, match=r"another recipe .*model: {'name': 'a'} then"):
        Checkpoints(tmp_path, {"model": {"name": "a", "activation": "relu"}}).newest()


def test_notes_do_not_keep_a_run_from_going_on(model, tmp_path):
    # As an older isozoo wrote it.
    told = {"title": "A run", "dataset": "colours", "seed": 1}
    Checkpoints(tmp_path, told).save(model, Position(1), {})
    assert Checkpoints(tmp_path, {"seed": 1}).newest() is not None
    assert Checkpoints(tmp_path, {"title": "The run", "seed": 1}).newest() is not None
    Rollbacks(("diverged",), 0.5, Position(0), Position(1)).write(tmp_path / "rollbacks.json", told)
    assert Rollbacks.read(tmp_path / "rollbacks.json", {"seed": 1}).told == ("diverged",)


def test_checkpoints_of_an_older_format_are_refused(model, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save(model, Position(1), {}) / "checkpoint.json"
    manifest = json.loads(path.read_text())
    del manifest["format"]  # as it was before there were checkpoints within an epoch
    path.write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=r"has format 1, .* reads 3; finish .* isozoo 0"):
        checkpoints.newest()


@pytest.mark.parametrize("damage", ["checkpoint.json", "state.npz", "model.weights.h5"])
def test_one_damaged_file_is_enough(model, tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(model, Position(epoch), {})
    path = tmp_path / "epoch-0002" / damage
    path.write_bytes(path.read_bytes()[:-10])
    found = checkpoints.newest()
    assert found is not None
    assert found.position == Position(1)
    assert "epoch-0002 is damaged" in caplog.text
    (tmp_path / "epoch-0001" / damage).unlink()
    with pytest.raises(WeightsError, match=r"all 2 checkpoints in .* are damaged"):
        checkpoints.newest()


@pytest.mark.parametrize(
    "manifest", ["[]", "null", '"text"', "{}", '{"format": 3, "files": {}}', '{"files": 1}']
)
def test_a_manifest_of_another_shape_is_damaged(model, tmp_path, caplog, manifest):
    checkpoints = Checkpoints(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(model, Position(epoch), {})
    (tmp_path / "epoch-0002" / "checkpoint.json").write_text(manifest)
    found = checkpoints.newest()
    assert found is not None
    assert found.position == Position(1)
    assert "epoch-0002 is damaged (checkpoint.json does not say `" in caplog.text


def test_to_start_afresh_the_whole_run_has_to_go(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    (checkpoints.directory / "epoch-0001").mkdir(parents=True)
    with pytest.raises(WeightsError, match=f"remove the run's folder {tmp_path / 'run'} to start"):
        checkpoints.newest()


def test_a_checkpoint_is_passed_over_for_the_one_before(model, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(model, Position(epoch), {})
    bad = checkpoints.newest()
    assert bad is not None
    before = checkpoints.pass_over(bad)
    assert before.position == Position(1)
    assert names(tmp_path) == ["epoch-0001"]
    # The last one stays: it is all there is of the run.
    assert checkpoints.pass_over(before) == before
    assert names(tmp_path) == ["epoch-0001"]
