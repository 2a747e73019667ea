"""Losses that are no numbers or explode: when it is noticed, where it began, what is done."""

import math
import signal
import types

import keras
import numpy as np
import pytest

from isozoo.training import DivergedError, TrainingInterrupted, divergence, train
from isozoo.training.checkpoint import Checkpoints, Position
from isozoo.training.divergence import Divergence, LossWatch
from isozoo.training.faults import bad_gradient, bad_output, bad_penalty, bad_weight, grown_most
from isozoo.training.interrupt import StopRequest
from isozoo.training.recovery import Saver, Tracker
from isozoo.training.settings import RecoverySettings
from tests.training.conftest import signal_after


def watch_losses(watch: LossWatch, losses, start: int = 0) -> None:
    """Hand a callback the running means that Keras makes of some steps' losses."""
    for step, _ in enumerate(losses, start=1):
        watch.tracker.position = Position(0, start + step)
        watch.on_train_batch_end(step - 1, {"loss": float(np.mean(losses[:step]))})


@pytest.fixture
def watch() -> LossWatch:
    """A callback for which an explosion is ten times the median, for three steps."""
    tracker = types.SimpleNamespace(position=Position(0), resumed=False)
    watch = LossWatch(tracker, RecoverySettings(explosion=10.0, patience=3), {})
    watch.on_epoch_begin(0)
    return watch


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_loss_that_is_no_number_is_named(watch, bad):
    with pytest.raises(Divergence, match=f"the loss became {bad}") as error:
        watch_losses(watch, [1.0, 2.0, bad])
    assert error.value.first == error.value.last == Position(0, 2)


def test_an_explosion_is_a_number_of_steps_in_a_row_far_above_the_median(watch):
    usual = [1.0 + 0.1 * (i % 3) for i in range(100)]
    watch_losses(watch, [*usual, 50.0, 50.0, 1.0, 50.0, 50.0])
    watch.on_epoch_begin(0)
    with pytest.raises(Divergence, match=r"above 10 times its median \(1.1\) for 3 steps") as error:
        watch_losses(watch, [60.0])
    assert error.value.first == Position(0, 103)


def test_before_there_is_a_median_nothing_explodes(watch):
    watch_losses(watch, [1.0] * 50 + [1e6] * 20)


def test_without_a_setting_nothing_explodes():
    tracker = types.SimpleNamespace(position=Position(0), resumed=False)
    watch = LossWatch(tracker, RecoverySettings(), {})
    watch.on_epoch_begin(0)
    watch_losses(watch, [1.0] * 100 + [1e30] * 20)


def test_what_was_seen_is_known_after_a_restart(watch):
    watch_losses(watch, [1.0] * 100 + [50.0, 50.0])
    again = LossWatch(watch.tracker, watch.settings, watch.state())
    again.on_epoch_begin(0)
    again.tracker.position = Position(1, 1)
    with pytest.raises(Divergence) as error:
        again.on_train_batch_end(0, {"loss": 50.0})
    assert (error.value.first, error.value.last) == (Position(0, 100), Position(1, 0))


class Endless(keras.regularizers.Regularizer):
    """A penalty that is infinite."""

    def __call__(self, x):
        return keras.ops.sum(x) * 0.0 + math.inf


@pytest.fixture
def parts() -> list[keras.Model]:
    """Two models in a row, each of a layer or two."""
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(2, name="first")(inputs)
    one = keras.Model(inputs, keras.layers.Dropout(0.5, name="drop")(hidden))
    features = keras.Input((2,))
    return [one, keras.Model(features, keras.layers.Dense(1, name="second")(features))]


def test_the_first_layer_with_a_bad_output(parts):
    images = np.ones((3, 2), "float32")
    states = [np.array(v) for v in parts[0].non_trainable_variables]
    assert bad_output(parts, images) is None
    for before, now in zip(states, parts[0].non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, now)
    parts[1].get_layer("second").bias.assign([math.nan])
    fault = bad_output(parts, images)
    assert fault == ("second", "first in the activations of second")
    parts[0].get_layer("first").kernel.assign(np.full((2, 2), 3e38))
    assert bad_output(parts, images).layer == "first"


def test_the_layer_that_grew_most(parts):
    good = [keras.models.clone_model(part) for part in parts]
    for one, other in zip(good, parts, strict=True):
        one.set_weights(other.get_weights())
    parts[1].get_layer("second").bias.assign([100.0])
    fault = grown_most(parts, good, np.ones((64, 2), "float32"))
    assert fault.layer == "second"
    assert "the activations of second grew most since the last good state" in fault.text


def test_a_bad_penalty():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(1, kernel_regularizer=Endless(), name="only")(inputs)
    assert bad_penalty([keras.Model(inputs, outputs)]).layer == "only"


def test_the_gradient_that_went_first_is_the_nearest_to_the_loss():
    inputs = keras.Input((2,))
    x = keras.layers.Dense(2, name="deep")(inputs)
    x = keras.layers.Dense(2, kernel_initializer="zeros", name="middle")(x)
    # The root's slope at 0 is infinite; what comes after it has a sound gradient.
    outputs = keras.layers.Dense(1, name="last")(keras.ops.sqrt(x))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="sgd", loss="mse")
    fault = bad_gradient(model, np.ones((2, 2), "float32"), np.ones((2, 1), "float32"))
    assert fault == ("middle", "first in the gradients of middle")
    assert bad_weight(model).layer == "deep"


def test_weights_that_are_no_numbers_are_not_saved(parts, tmp_path):
    checkpoints, tracker = Checkpoints(tmp_path), Tracker(Position(1))
    saver = Saver(checkpoints, tracker, StopRequest(), None, dict)
    saver.set_model(parts[0])
    parts[0].get_layer("first").kernel.assign(np.full((2, 2), math.inf))
    tracker.position = Position(2)
    with pytest.raises(Divergence, match="a weight became infinite or NaN") as error:
        saver.on_epoch_end(1)
    assert error.value.last == Position(2)
    assert not list(tmp_path.iterdir())


def test_a_run_stops_with_the_step_and_the_layer(colours, recipe, tmp_path):
    with pytest.raises(
        DivergedError,
        match=r"became nan in epoch 1, step 3; first in .*lower the learning",
    ) as error:
        train(recipe(learning_rate="1e30"), colours, tmp_path / "runs")
    assert (error.value.epoch, error.value.step, error.value.checkpoint) == (1, 3, None)
    assert error.value.layer == "s1_b1_f_a"


ROLLBACK = """
[recovery]
on_nan = "rollback"
learning_rate_factor = 0.001
"""


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
