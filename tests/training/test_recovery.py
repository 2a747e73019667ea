"""Runs that are stopped, by a signal or by the machine, and go on as if nothing had been."""

import signal

import pytest

from isozoo.errors import RecipeError
from isozoo.training import TrainingInterrupted, loop, train
from isozoo.training.checkpoint import Position
from isozoo.training.divergence import Divergence, LossWatch
from isozoo.training.interrupt import StopRequest
from isozoo.training.recovery import Saver
from tests.training.conftest import assert_same_run, signal_after


def signal_in_validation(epoch: int, monkeypatch) -> None:
    """Send this process SIGTERM before the validation that follows an epoch's last step."""
    begin = Saver.on_test_begin

    def signal_and_begin(self, logs=None):
        if self.tracker.position.epoch == epoch:
            signal.raise_signal(signal.SIGTERM)
        begin(self, logs)

    monkeypatch.setattr(Saver, "on_test_begin", signal_and_begin)


STOPS = (
    (lambda patch: signal_after((0, 1), signal.SIGTERM, patch), "SIGTERM after epoch 1, step 1"),
    # The epoch's last step: what is left of it is its validation and its line in the log.
    (lambda patch: signal_after((1, 3), signal.SIGINT, patch), "SIGINT after epoch 2, step 3"),
    (lambda patch: signal_after((2, 2), signal.SIGTERM, patch), "SIGTERM after epoch 3, step 2"),
    (lambda patch: signal_in_validation(3, patch), "SIGTERM after epoch 4, step 3"),
)


def test_a_stopped_run_goes_on_to_the_same_bits(whole_run, colours, recipe, tmp_path, monkeypatch):
    path, runs = recipe(), tmp_path / "runs"
    with monkeypatch.context() as patch:
        signal_after((0, 2), signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted, match="by SIGTERM after epoch 1, step 2") as error:
            train(path, colours, runs, checkpoint_minutes=None)
    assert [path.name for path in error.value.checkpoint.parent.iterdir()] == [
        "epoch-0000-step-00000002"
    ]
    assert_same_run(train(path, colours, runs, resume=True), whole_run)


@pytest.mark.slow
def test_a_run_that_is_stopped_again_and_again_goes_on_to_the_same_bits(
    colours, recipe, tmp_path, monkeypatch
):
    path, runs = recipe(), tmp_path / "runs"
    # A penalty with a random state, which validation advances too.
    path.write_text(path.read_text() + '\n[penalty]\nmethod = "probe"\nevery = 2\n')
    whole_run = train(path, colours, tmp_path / "whole")
    for number, (stop, told) in enumerate(STOPS):
        with monkeypatch.context() as patch:
            stop(patch)
            with pytest.raises(TrainingInterrupted, match=f"{told}; .* --resume"):
                train(path, colours, runs, resume=number > 0)
    assert_same_run(train(path, colours, runs, resume=True), whole_run)


def test_a_run_that_dies_goes_on_from_the_newest_whole_checkpoint(
    whole_run, colours, recipe, tmp_path, monkeypatch, caplog
):
    class Died(Exception):
        """Stands for the machine going away."""

    save = Saver.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch + 1 == 2:
            raise Died

    path, runs = recipe(), tmp_path / "runs"
    with monkeypatch.context() as patch:
        patch.setattr(Saver, "on_epoch_end", save_and_die)
        with pytest.raises(Died):
            # So short a time that there is a checkpoint after every step.
            train(path, colours, runs, checkpoint_minutes=1e-9)
    checkpoints = runs / "r-isonet-8.colours" / "checkpoints"
    newest = checkpoints / "epoch-0002"
    assert sorted(path.name for path in checkpoints.iterdir()) == [
        "epoch-0001-step-00000003",
        "epoch-0002",
    ]
    weights = newest / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-100])
    (checkpoints / ".epoch-0002-step-00000001.abcdef").mkdir()  # what a kill leaves of a half write
    resumed = train(path, colours, runs, resume=True)
    assert "epoch-0002 is damaged (model.weights.h5 does not have the hash" in caplog.text
    assert_same_run(resumed, whole_run)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["epoch-0003", "epoch-0004"]


def test_a_run_that_died_before_its_first_checkpoint_may_begin_anew(
    colours, recipe, tmp_path, monkeypatch
):
    begun = []
    monkeypatch.setattr(loop.Fitting, "run", lambda self: begun.append(self) or 1 / 0)
    run = tmp_path / "runs" / "r-isonet-8.colours"
    (run / "checkpoints").mkdir(parents=True)
    (run / "log.jsonl").write_text('{"epoch": 1, "loss": 9.0}\n')
    with pytest.raises(RecipeError, match=r"holds log.jsonl of an earlier run and no checkpoint"):
        train(recipe(), colours, tmp_path / "runs")
    with pytest.raises(ZeroDivisionError):
        train(recipe(), colours, tmp_path / "runs", resume=True)
    assert len(begun) == 1
    # More than one line was not left by a run that never saved.
    (run / "log.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    with pytest.raises(RecipeError, match="no checkpoint to go on from"):
        train(recipe(), colours, tmp_path / "runs", resume=True)


def test_a_second_interrupt_does_not_wait():
    with StopRequest() as request:
        signal.raise_signal(signal.SIGINT)
        assert request.signal == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_signal_that_came_first_is_told():
    with StopRequest() as request:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert request.signal == "SIGINT"


def test_a_signal_in_the_step_that_diverges(colours, recipe, tmp_path, monkeypatch):
    look = LossWatch.on_train_batch_end

    def diverge(self, batch, logs=None):
        look(self, batch, logs)
        if self.tracker.position == (0, 2):
            signal.raise_signal(signal.SIGTERM)
            raise Divergence(Position(0, 1), Position(0, 1), "the loss became nan")

    monkeypatch.setattr(LossWatch, "on_train_batch_end", diverge)
    path = recipe()
    path.write_text(path.read_text() + '\n[recovery]\non_nan = "rollback"\n')
    with pytest.raises(TrainingInterrupted, match=r"SIGTERM during the search .* nothing to save"):
        train(path, colours, tmp_path / "runs")


def test_signals_that_are_ignored_stay_ignored(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest() as request:
            signal.raise_signal(signal.SIGINT)
            assert not request.signal
    finally:
        signal.signal(signal.SIGINT, before)
