"""Weights that rise in cycles, against the numbers of the original code."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.errors import UnknownNameError
from isozoo.training.annealing import SHAPES, CyclicalAnnealing


def sequence(steps, **settings):
    annealing = CyclicalAnnealing(None, steps, **settings)
    return np.array([annealing.at(step) for step in range(steps)])


def test_the_sequences_are_those_of_the_original(shared):
    settings = json.loads((shared / "fixtures" / "cyclical_annealing.json").read_text())
    with np.load(shared / "fixtures" / "cyclical_annealing.npz") as stored:
        assert len(stored.files) == 15
        for name in stored.files:
            of = settings[name]
            found = sequence(of["T"], cycles=of["M"], ratio=of["R"], shape=name.split("_")[0])
            # Those of 3,000 steps are stored as float32.
            np.testing.assert_allclose(found, stored[name], rtol=0, atol=1e-7, err_msg=name)


def test_cycles_that_do_not_divide_the_steps_begin_at_the_rounded_multiples():
    (begins,) = np.nonzero(sequence(100, cycles=3) == 0)
    assert begins.tolist() == [0, 33, 66]


def test_one_cycle_is_monotonic_and_stays():
    annealing = CyclicalAnnealing(None, 8, cycles=1, ratio=0.5, scale=0.004)
    found = [annealing.at(step) for step in range(12)]
    assert found == pytest.approx([0.0, 0.001, 0.002, 0.003, *[0.004] * 8])


@given(st.integers(1, 500), st.data(), st.sampled_from(sorted(SHAPES)))
def test_every_cycle_rises_and_weights_are_shares(steps, data, shape):
    cycles = data.draw(st.integers(1, steps))
    ratio = data.draw(st.floats(0.01, 1.0))
    found = sequence(steps, cycles=cycles, ratio=ratio, shape=shape)
    assert ((found >= 0) & (found <= 1)).all()
    starts = {cycle * steps // cycles for cycle in range(cycles)}
    assert {i + 1 for i in np.flatnonzero(np.diff(found) < 0)} <= starts
    assert all(found[start] == SHAPES[shape](0.0) for start in starts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cycles": 0}, r"cycles must be in \[1, steps\], got 0 cycles of 10 steps"),
        ({"cycles": 11}, "got 11 cycles of 10 steps"),
        ({"ratio": 0.0}, r"ratio must be in \(0, 1\], got 0.0"),
        ({"ratio": 1.1}, r"ratio must be in \(0, 1\], got 1.1"),
        ({"scale": float("nan")}, "scale must be finite and not negative, got nan"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CyclicalAnnealing(None, 10, **settings)


def test_an_unknown_shape_is_refused():
    with pytest.raises(UnknownNameError, match="unknown shape 'linaer'"):
        CyclicalAnnealing(None, 10, shape="linaer")


class Recorder(keras.callbacks.Callback):
    """Notes a variable at the end of each batch."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.seen = weight, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.weight))


def trained(model, weight, epochs):
    recorder = Recorder(weight)
    annealing = CyclicalAnnealing(weight, steps=6, cycles=2, ratio=1.0)
    model.fit(
        np.ones((4, 2), "float32"), np.ones((4, 1), "float32"),
        batch_size=2, epochs=epochs, verbose=0, callbacks=[annealing, recorder],
    )  # fmt: skip
    return recorder.seen


def test_a_training_that_goes_on_goes_on_in_its_cycle():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    weight = keras.Variable(7.0, trainable=False)
    seen = trained(model, weight, epochs=1) + trained(model, weight, epochs=3)
    assert seen == pytest.approx([0, 1 / 3, 2 / 3, 0, 1 / 3, 2 / 3, 1, 1])


def test_several_steps_at_once_are_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(ValueError, match="found steps_per_execution=2; compile the model with 1"):
        trained(model, keras.Variable(0.0), epochs=1)


def test_a_config_makes_the_same_weights():
    annealing = CyclicalAnnealing(None, 30, 3, 0.4, "cosine", 0.5)
    again = CyclicalAnnealing(None, **annealing.get_config())
    assert [again.at(step) for step in range(31)] == [annealing.at(step) for step in range(31)]
