"""What is told of a run: the log in its forms, and the line on the terminal."""

import csv
import io
import json
import types

import keras
import numpy as np
import pytest
from rich.console import Console

from isozoo.errors import MissingExtraError, WeightsError
from isozoo.training import CheckpointError, train
from isozoo.training.callbacks import EpochLog, ProgressBar, RepetitionBar
from isozoo.training.checkpoint import Checkpoints, Position
from isozoo.training.divergence import Divergence
from isozoo.training.options import Options


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras.Sequential([keras.Input((4, 4, 8)), keras.layers.Conv2D(8, 3)])
    model.compile(optimizer=keras.optimizers.SGD(0.125))
    return model


def log_in(folder, epoch: int, step: int = 0, **options) -> EpochLog:
    tracker = types.SimpleNamespace(position=Position(epoch, step), resumed=bool(step))
    return EpochLog(folder / "log.jsonl", tracker, images_per_epoch=100, **options)


def run_epoch(log: EpochLog, model: keras.Model, epoch: int, **logs: float) -> dict:
    log.set_model(model)
    log.on_epoch_begin(epoch)
    log.on_epoch_end(epoch, logs)
    return logs


def test_the_table_has_the_columns_of_all_epochs(model, tmp_path):
    log = log_in(tmp_path, 0, csv=True)
    run_epoch(log, model, 0, loss=2.0)
    run_epoch(log, model, 1, loss=1.0, val_loss=1.5)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "log.csv").read_text())))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["loss"] for row in rows] == ["2.0", "1.0"]
    assert [row["val_loss"] for row in rows] == ["", "1.5"]
    assert rows[0]["learning_rate"] == "0.125"


def test_callbacks_that_follow_see_the_whole_line(model, tmp_path):
    logs = run_epoch(log_in(tmp_path, 0), model, 0, loss=2.0)
    assert logs["learning_rate"] == 0.125
    assert logs["penalty"] > 0
    assert "epoch" not in logs  # Keras counts it from 0


def test_lines_of_epochs_that_are_done_again_are_dropped(model, tmp_path):
    log = log_in(tmp_path, 0)
    for epoch in range(3):
        run_epoch(log, model, epoch, loss=3.0 - epoch)
    again = log_in(tmp_path, 1)
    run_epoch(again, model, 1, loss=2.0)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["loss"]) for row in rows] == [(1, 3.0), (2, 2.0)]


def test_the_time_and_rate_of_an_epoch_go_on(model, tmp_path):
    state = {"learning_rate": 0.5, "seconds": 1000.0}
    log = log_in(tmp_path, 0, step=3, state=state)
    run_epoch(log, model, 0, loss=1.0)
    (row,) = log.rows
    assert row["learning_rate"] == 0.5
    assert 1000 <= row["seconds"] < 1010
    # The next epoch begins at nothing.
    log.tracker.resumed = False
    run_epoch(log, model, 1, loss=1.0)
    assert log.rows[1]["seconds"] < 10


def test_a_log_that_is_not_one_is_not_gone_on_with(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 1}\n{"ep')
    with pytest.raises(WeightsError, match=r"log.jsonl, line 2: expected a JSON object"):
        log_in(tmp_path, 2)


def test_each_rollback_is_told_once(model, tmp_path):
    log = log_in(tmp_path, 0, rollbacks=["first", "second"])
    run_epoch(log, model, 0, loss=1.0)
    run_epoch(log, model, 1, loss=1.0)
    assert [row.get("rollbacks") for row in log.rows] == [["first", "second"], None]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_say_is_not_written(model, tmp_path, bad):
    log = log_in(tmp_path, 2)
    with pytest.raises(Divergence, match=f"val_loss became {bad}") as error:
        run_epoch(log, model, 1, loss=1.0, val_loss=bad)
    assert error.value.step(steps=7) == (2, 7)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("full", ["log.jsonl", "log.csv"])
def test_a_full_disk_at_the_log(model, tmp_path, monkeypatch, full):
    from isozoo.files import atomic_write

    def write(path, content):
        if path.name == full:
            raise OSError(28, "No space left on device")
        atomic_write(path, content)

    monkeypatch.setattr("isozoo.training.callbacks.atomic_write", write)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    last = checkpoints.directory / "epoch-0001"
    last.mkdir(parents=True)
    log = log_in(tmp_path, 1, csv=True, writing=checkpoints.writing)
    with pytest.raises(
        CheckpointError, match=rf"write .*{full} \(No space left .*{last} is .* on with --resume"
    ):
        run_epoch(log, model, 1, loss=1.0)


def test_steps_that_are_repeated_are_counted_and_can_be_stopped():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, _environ={})
    with RepetitionBar(5, lambda: None, terminal) as bar:
        bar.on_train_batch_end(0, {"loss": 2.0})
        bar.progress.refresh()
    assert bar.loss == 2.0
    assert "1/5" in terminal.file.getvalue()
    with pytest.raises(ZeroDivisionError), RepetitionBar(5, lambda: 1 / 0, terminal) as bar:
        bar.on_train_batch_end(0, {"loss": 2.0})


def test_the_line_on_a_terminal_shows_speed_loss_penalty_and_rate(model):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=150, _environ={})
    with ProgressBar(2, done=3, steps=4, batch_size=8, console=terminal) as bar:
        bar.set_model(model)
        bar.on_train_begin()
        bar.on_epoch_begin(0)
        bar.on_train_batch_end(3, {"loss": 1.5})
        bar.on_epoch_end(0, {"accuracy": 0.25, "val_accuracy": 0.5, "penalty": 2.0})
        bar.on_epoch_begin(1)
        bar.on_train_batch_end(0, {"loss": 1.25})
        bar.progress.refresh()
        shown = terminal.file.getvalue()
    assert "epoch 2/2" in shown
    assert "5/8" in shown
    assert "images/s" in shown
    assert "loss 1.5  penalty" in shown
    assert "lr 0.125" in shown
    assert "train 25.0%  val 50.0%" in shown


def test_nothing_is_shown_and_measured_without_a_terminal(model, capsys):
    with ProgressBar(1, done=0, steps=1, batch_size=8) as bar:
        bar.set_model(model)
        bar.on_train_begin()
        bar.on_epoch_begin(0)
        bar.on_train_batch_end(0, {})  # a loss is not looked for
        bar.on_epoch_end(0, {"penalty": np.nan})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan")])
def test_minutes_that_are_none(minutes):
    with pytest.raises(ValueError, match="checkpoint_minutes must be more than 0, got"):
        Options(checkpoint_minutes=minutes)


def test_event_files_without_tensorboard(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isozoo\[train\]'"):
        Options(tensorboard=True)


@pytest.mark.slow
def test_event_files_of_a_run(colours, recipe, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra `train`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(recipe(), colours, tmp_path / "runs", tensorboard=True)
    events = EventAccumulator(str(run.directory.parent / "tensorboard" / "train"))
    events.Reload()
    for name in ("epoch_loss", "epoch_penalty", "epoch_images_per_second"):
        assert [event.step for event in events.Tensors(name)] == [0, 1, 2, 3]
