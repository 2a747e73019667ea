"""Whole runs that diverge: where they stop, what they blame, and how they go back."""

import math
import signal

import pytest

from isozoo.training import DivergedError, TrainingInterrupted, divergence, train
from isozoo.training.callbacks import RepetitionBar
from isozoo.training.divergence import LossWatch
from isozoo.training.recovery import Tracker
from tests.training.conftest import ROLLBACK, signal_after


def test_a_loss_that_does_not_recur_is_blamed_on_no_layer(colours, recipe, tmp_path, monkeypatch):
    look = LossWatch.on_train_batch_end

    def misread(self, batch, logs=None):
        look(self, batch, {"loss": math.nan} if self.tracker.position == (0, 2) else logs)

    monkeypatch.setattr(LossWatch, "on_train_batch_end", misread)
    with pytest.raises(DivergedError, match="epoch 1, step 2; it did not happen again") as error:
        train(recipe(), colours, tmp_path / "runs")
    assert error.value.layer is None


def test_statistics_that_are_no_numbers_are_traced(colours, recipe, tmp_path, monkeypatch):
    count = Tracker.on_train_batch_end
    repeat = RepetitionBar.on_train_batch_end

    def spoil(model):
        name = "moving_variance"
        variance = next(v for v in model.non_trainable_variables if v.path.endswith(name))
        variance.assign(variance * math.nan)

    def count_and_spoil(self, batch, logs=None):
        count(self, batch, logs)
        if self.position == (0, 3):
            spoil(self.model)

    def repeat_and_spoil(self, batch, logs=None):
        repeat(self, batch, logs)
        spoil(self.model)

    monkeypatch.setattr(Tracker, "on_train_batch_end", count_and_spoil)
    monkeypatch.setattr(RepetitionBar, "on_train_batch_end", repeat_and_spoil)
    path = recipe(validate_every="1")
    path.write_text(path.read_text().replace("r-isonet-8", "resnet-8"))
    with pytest.raises(
        DivergedError, match=r"val_\w+ became nan in epoch 1, step 3; first in .*moving_variance"
    ):
        train(path, colours, tmp_path / "runs")
    assert not (tmp_path / "runs" / "resnet-8.colours" / "log.jsonl").exists()


def test_a_run_stops_with_the_step_and_the_layer(colours, recipe, tmp_path):
    with pytest.raises(
        DivergedError,
        match=r"became nan in epoch 1, step 3; first in .*lower the learning",
    ) as error:
        train(recipe(learning_rate="1e30"), colours, tmp_path / "runs")
    assert (error.value.epoch, error.value.step, error.value.checkpoint) == (1, 3, None)
    assert error.value.layer == "s1_b1_f_a"


@pytest.mark.slow
def test_a_run_goes_back_and_on_with_a_lower_rate(colours, recipe, tmp_path, caplog, monkeypatch):
    path = recipe(learning_rate="1e3")
    constant = ('name = "cosine"\nwarmup_epochs = 1', 'name = "constant"')
    text = path.read_text().replace(*constant)
    path.write_text(text + ROLLBACK)
    with monkeypatch.context() as patch:
        signal_after((2, 1), signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted):
            train(path, colours, tmp_path / "runs")
    path.write_text(text)  # no further rollbacks; the one that was made holds
    run = train(path, colours, tmp_path / "runs", resume=True)
    (told,) = run.log[0]["rollbacks"]
    assert told.startswith("the loss became nan in epoch 1, step 3; first in the activations of s")
    assert told.endswith("; back to the beginning with 0.001 times the learning rate")
    assert f"rollback 1 of 3: {told}" in caplog.text
    assert [row["learning_rate"] for row in run.log] == [1.0] * 4
    assert all("rollbacks" not in row for row in run.log[1:])


@pytest.mark.slow
def test_rollbacks_end(colours, recipe, tmp_path):
    path = recipe(learning_rate="1e30")
    path.write_text(path.read_text() + ROLLBACK + "rollbacks = 2\n")
    with pytest.raises(DivergedError, match="; 2 rollbacks did not help: lower the learning rate"):
        train(path, colours, tmp_path / "runs", checkpoint_minutes=None)


@pytest.mark.slow
def test_an_explosion_is_traced_to_the_layer_that_grew_most(colours, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(divergence, "WINDOW", 2)
    path = recipe(learning_rate="3.0")
    path.write_text(path.read_text() + "\n[recovery]\nexplosion = 2.0\npatience = 1\n")
    with pytest.raises(DivergedError, match=r"above 2 times its median .* grew most") as error:
        train(path, colours, tmp_path / "runs")
    assert error.value.layer
    assert error.value.checkpoint
