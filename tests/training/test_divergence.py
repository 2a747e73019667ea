"""Losses that are no numbers or explode: when it is noticed, where it began, what is done."""

import math
import types

import keras
import numpy as np
import pytest

from isozoo.data import InMemoryImages
from isozoo.data.damage import Damage, ReplacedImages
from isozoo.errors import WeightsError
from isozoo.training import DivergedError, Recipe, TrainingInterrupted
from isozoo.training.checkpoint import Checkpoints, Position
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.divergence import Divergence, LossWatch, Rollbacks
from isozoo.training.faults import (
    Fault,
    bad_gradient,
    bad_output,
    bad_penalty,
    bad_weight,
    grown_most,
)
from isozoo.training.feed import Feed
from isozoo.training.fitting import Fitting
from isozoo.training.interrupt import StopRequest
from isozoo.training.options import Options
from isozoo.training.recovery import Saver, Stop, Tracker
from isozoo.training.settings import RecoverySettings
from tests.training.conftest import ROLLBACK


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
    one.compile(optimizer="sgd", loss="mse")
    features = keras.Input((2,))
    return [one, keras.Model(features, keras.layers.Dense(1, name="second")(features))]


def test_the_first_layer_with_a_bad_output(parts):
    images = np.ones((3, 2), "float32")
    states = [np.array(v) for v in parts[0].non_trainable_variables]
    assert bad_output(parts, images, Strategy()) is None
    for before, now in zip(states, parts[0].non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, now)
    parts[1].get_layer("second").bias.assign([math.nan])
    fault = bad_output(parts, images, Strategy())
    assert fault == ("second", "first in the activations of second")
    parts[0].get_layer("first").kernel.assign(np.full((2, 2), 3e38))
    assert bad_output(parts, images, Strategy()).layer == "first"


def test_the_layer_that_grew_most(parts):
    good = [keras.models.clone_model(part) for part in parts]
    for one, other in zip(good, parts, strict=True):
        one.set_weights(other.get_weights())
    parts[1].get_layer("second").bias.assign([100.0])
    fault = grown_most(parts, good, np.ones((64, 2), "float32"), Strategy())
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
    images, labels = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")
    fault = bad_gradient(model, lambda: model.train_on_batch(images, labels))
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


@pytest.fixture
def normalised() -> keras.Model:
    """A compiled model with statistics and a momentum."""
    inputs = keras.Input((2,))
    x = keras.layers.BatchNormalization(name="norm")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(x))
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_statistics_and_momenta_are_looked_at_too(normalised):
    assert bad_weight(normalised) is None
    momentum = normalised.optimizer.variables[-1]
    momentum.assign(np.full(momentum.shape, math.nan))
    assert bad_weight(normalised) == (None, f"first in the optimiser's {momentum.path}")
    normalised.get_layer("norm").moving_variance.assign([1.0, math.nan])
    assert bad_weight(normalised) == ("norm", "first in norm/moving_variance, which is not trained")


def test_a_validation_that_is_no_number_is_seen(watch):
    watch.tracker.position = Position(3)
    watch.on_epoch_end(2, {"loss": 1.0, "val_loss": 1.0})
    with pytest.raises(Divergence, match="val_loss became nan") as error:
        watch.on_epoch_end(2, {"loss": 1.0, "val_loss": math.nan})
    assert error.value.step(steps=5) == (3, 5)


def test_nothing_is_saved_while_an_explosion_may_have_begun(watch, parts, tmp_path):
    watch_losses(watch, [1.0] * 100)
    request, checkpoints = StopRequest(), Checkpoints(tmp_path)
    saver = Saver(checkpoints, watch.tracker, request, None, dict, lambda: not watch.alarmed)
    saver.set_model(parts[0])
    watch.on_epoch_begin(0)
    watch_losses(watch, [50.0])
    saver.on_epoch_end(0)
    assert not checkpoints.folders()
    # What was left out at the epoch's end is made up for.
    watch.on_epoch_begin(1)
    watch_losses(watch, [1.0], start=1)
    saver.on_train_batch_end(0)
    assert [path.name for path in checkpoints.folders()] == ["epoch-0000-step-00000002"]
    # Who asks to stop gets what there is.
    watch.on_epoch_begin(1)
    watch_losses(watch, [50.0], start=2)
    request.signal = "SIGTERM"
    with pytest.raises(TrainingInterrupted, match="by SIGTERM after epoch 1, step 3"):
        saver.on_train_batch_end(0)


@pytest.fixture
def fitting(parts, recipe, tmp_path, monkeypatch) -> Fitting:
    """A run that has saved after epochs 1 and 2 and diverges whenever it trains, in epoch 3."""
    images = InMemoryImages(np.zeros((24, 40, 40, 3), "uint8"), [0] * 24, ["black"])
    path = recipe()
    path.write_text(path.read_text() + ROLLBACK)
    checkpoints = Checkpoints(tmp_path / "checkpoints", {"seed": 1})
    for epoch in (1, 2):
        checkpoints.save(parts[0], Position(epoch), {})
    stop = Stop(StopRequest(), checkpoints)

    def diverge(self, newest, rollbacks):
        raise Divergence(Position(2, 1), Position(2, 1), "the loss became nan")

    monkeypatch.setattr(Fitting, "_run_from", diverge)
    nothing = Fault(None, "nowhere")
    monkeypatch.setattr("isozoo.training.fitting.find_fault", lambda *arguments: nothing)
    plan = Recipe.read(path)
    training = ReplacedImages(images, Damage(0, "train"))
    feed = Feed(plan, training, images, stop, Strategy())
    return Fitting(plan, feed, tmp_path, checkpoints, Options())


def test_a_checkpoint_that_diverges_again_is_passed_over(fitting):
    with pytest.raises(DivergedError, match=r"; 3 rollbacks did not help: .*epoch-0001: lower"):
        fitting.run()
    told = Rollbacks.read(fitting.directory / "rollbacks.json", {"seed": 1}).told
    assert [text.partition("; back to ")[2] for text in told] == [
        "epoch 2 with 0.001 times the learning rate",
        "epoch 1 with 1e-06 times the learning rate",
        "epoch 1 with 1e-09 times the learning rate",
    ]


def test_a_rollback_is_known_to_who_resumes(fitting, monkeypatch):
    tried = []

    def die(self, newest, rollbacks):
        tried.append((newest.position, len(rollbacks.told), rollbacks.factor))
        if len(tried) % 2:
            raise Divergence(Position(2, 1), Position(2, 1), "the loss became nan")
        raise ZeroDivisionError

    monkeypatch.setattr(Fitting, "_run_from", die)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fitting.run()
    first, second = (Position(2), 1, 0.001), (Position(1), 2, 1e-6)
    assert tried == [(Position(2), 0, 1.0), first, first, second]


def test_a_signal_is_not_forgotten_over_a_rollback(fitting):
    fitting.stop.request.signal = "SIGTERM"
    with pytest.raises(TrainingInterrupted, match=r"by SIGTERM during a rollback; .*epoch-0002"):
        fitting.run()
    assert len(Rollbacks.read(fitting.directory / "rollbacks.json", {"seed": 1}).told) == 1


def test_a_signal_while_images_are_cached(fitting):
    fitting.stop.request.signal = "SIGTERM"
    for read in (lambda: fitting.feed.validation_batches, lambda: fitting.feed.images(0)):
        with pytest.raises(TrainingInterrupted, match="SIGTERM during the first reading"):
            read()


def test_rollbacks_are_of_one_recipe(tmp_path):
    path = tmp_path / "rollbacks.json"
    assert Rollbacks.read(path, {}) == Rollbacks()
    made = Rollbacks(("once",), 0.5, Position(1), Position(1, 7))
    made.write(path, {"seed": 1})
    assert Rollbacks.read(path, {"seed": 1}) == made
    assert Rollbacks.read(path, {"seed": 2}) == Rollbacks()
    for damaged in ("[]", "{", '{"told": []}'):
        path.write_text(damaged)
        with pytest.raises(WeightsError, match=r"rollbacks.json does not tell .* remove it"):
            Rollbacks.read(path, {})
