"""Measures during training: the training is the same to the bit, and each is of its step."""

import json

import keras
import numpy as np
import pytest

from isozoo.diagnostics.callbacks import (
    ActivationsCallback,
    CovariateShiftCallback,
    DistancesCallback,
    SmoothnessCallback,
)
from isozoo.diagnostics.distributions import activations, activations_cost, joined
from isozoo.diagnostics.shifts import covariate_shift
from isozoo.diagnostics.smooth import smoothness
from isozoo.diagnostics.travel import distances, distances_cost
from isozoo.errors import DiagnosticsError, UnknownNameError
from isozoo.training.checkpoint import values_of
from isozoo.training.optimizers import TorchSGD

RANDOM = np.random.default_rng(0)
IMAGES, LABELS = RANDOM.normal(size=(12, 8, 8, 3)).astype("float32"), np.arange(12) % 3
BATCH = IMAGES[:4], LABELS[:4]


def small(optimizer=None, **options):
    """Return a network with all that has a state: batch normalisation, dropout, momentum."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    first = [layers.Conv2D(4, 3, name="conv1"), layers.BatchNormalization(name="norm")]
    rest = [layers.ReLU(), layers.Conv2D(3, 3, name="conv2"), layers.GlobalAveragePooling2D()]
    head = [layers.Dropout(0.5), layers.Dense(3, name="dense")]
    model = keras.Sequential([keras.Input((8, 8, 3)), *first, *rest, *head], name="small")
    model.compile(
        optimizer or TorchSGD(0.1, momentum=0.9, weight_decay_factor=1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def trained(callbacks, **options):
    model = small(**options)
    model.fit(IMAGES, LABELS, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return values_of([*model.variables, *model.optimizer.variables])


@pytest.fixture(scope="module")
def watched():
    """All callbacks after a training run, and where it led."""
    some = {"scales": [0.5, 1.0]}
    callbacks = {
        "exact": SmoothnessCallback([0, 4], BATCH, options=some),
        "notebook": SmoothnessCallback(range(0, 6, 3), lambda step: BATCH, "notebook", some),
        "shift": CovariateShiftCallback({1, 5}, BATCH, {"label": "demo"}),
        "activations": ActivationsCallback([0, 2, 99], BATCH),
        "distances": DistancesCallback([0, 3]),
    }
    return callbacks, trained(list(callbacks.values()))


def test_training_is_the_same_to_the_bit(watched):
    _, found = watched
    for one, other in zip(found, trained([]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_chosen_is_measured(watched):
    callbacks, _ = watched
    steps = {name: callback.result().steps.tolist() for name, callback in callbacks.items()}
    assert steps == {
        "exact": [0, 4], "notebook": [0, 3], "shift": [1, 5], "activations": [0, 2],
        "distances": [0, 3, 6],
    }  # fmt: skip
    assert callbacks["shift"].result().model == "demo"
    assert callbacks["exact"].result().losses.shape == (2, 2)


def test_each_is_the_measure_of_its_step(watched):
    callbacks, _ = watched
    model = small()
    exact = smoothness(model, *BATCH, scales=[0.5, 1.0])
    np.testing.assert_array_equal(callbacks["exact"].result().losses[0], exact.losses[0])
    model.train_on_batch(*BATCH)
    shift = covariate_shift(model, IMAGES[:4], LABELS[:4])
    np.testing.assert_allclose(callbacks["shift"].result().l2[0], shift.l2[0], rtol=1e-4)


def test_the_notebooks_walk_begins_where_the_step_led(watched):
    """Its first batch is the one that was measured on, so that the step ahead is the real one."""
    callbacks, _ = watched
    ahead = smoothness(small(), *BATCH, variant="notebook", scales=[0.5, 1.0])
    found = callbacks["notebook"].result()
    assert found.gradient_norm[0] == pytest.approx(ahead.gradient_norm[0], rel=1e-5)
    # In inference mode, with the running statistics that the step has changed and the function has
    # not.
    assert found.losses[0, 0] != pytest.approx(ahead.losses[0, 0], rel=1e-5)


def test_distributions_are_those_of_the_inputs():
    model = small()
    found = activations(model, IMAGES, levels=[0, 0.25, 0.5, 1])
    assert found.layers == ("conv1", "conv2", "dense")
    np.testing.assert_allclose(found.quantiles[0, 0], np.quantile(IMAGES, [0, 0.25, 0.5, 1]))
    middle = keras.Model(model.inputs[0], model.layers[2].output)(IMAGES, training=False)
    np.testing.assert_allclose(found.mean[0, 1], np.mean(middle), rtol=1e-5)
    assert found.quantiles[0, 1, 0] == 0.0
    assert found.drift.shape == (0, 3)


def test_drift_is_in_deviations_of_before():
    before = activations(small(), IMAGES)
    found = joined([before, activations(small(), 3 * IMAGES)])
    expected = 2 * np.trapezoid(abs(before.quantiles[0, 0]), before.levels)
    assert found.drift[0, 0] == pytest.approx(expected / before.deviation[0, 0])


def test_distances_are_from_the_start():
    model = small()
    start = values_of(model.trainable_variables)
    twin = small()
    twin.layers[0].kernel.assign_add(np.full((3, 3, 3, 4), 0.5))
    twin.layers[0].bias.assign_add(np.ones(4))
    for initial in (start, model):
        found = distances(twin, initial)
        np.testing.assert_allclose(found.distance, [[0.5 * np.sqrt(108), 0, 0]], rtol=1e-6)
    assert found.initial_norm[2] == pytest.approx(np.linalg.norm(start[6]))
    assert found.relative[0, 1] == 0.0


def test_results_are_shown_and_read_again(watched):
    for callback in watched[0].values():
        found = callback.result()
        again = type(found).from_json(json.loads(json.dumps(found.to_json())))
        assert again.to_json() == found.to_json()
        assert found.table().row_count in (2, 3)
        found.plot()


def test_costs_are_known_before():
    assert activations_cost(small(), BATCH[0]).passes == 1
    assert distances_cost(small()).passes == 0
    assert distances_cost(small()).bytes == 4 * 4 * (27 * 4 + 4 + 8 + 36 * 3 + 3 + 9 + 3)


def test_what_cannot_be_measured_is_refused():
    never = SmoothnessCallback([50], BATCH)
    with pytest.raises(DiagnosticsError, match=r"nothing was measured: .* choose earlier ones"):
        never.result()
    with pytest.raises(DiagnosticsError, match="small takes 2 at once; compile it with steps_per"):
        trained([never], steps_per_execution=2)
    with pytest.raises(DiagnosticsError, match="the start has 1 weights of other shapes than the"):
        distances(small(), [np.zeros(3)])
    with pytest.raises(UnknownNameError, match="unknown layer with a kernel 'norm'; known: conv1"):
        activations(small(), IMAGES, layers=["norm"])
    with pytest.raises(ValueError, match=r"levels must ascend from 0 to 1, got \[0.5, 1.0\]"):
        activations(small(), IMAGES, levels=[0.5, 1])
