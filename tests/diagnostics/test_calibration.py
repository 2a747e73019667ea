"""Statistics of a batch are lent and taken back."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from isozoo.diagnostics.calibration import batch_statistics
from isozoo.diagnostics.isometry import measure_jacobian
from isozoo.layers import BatchInstanceNormalization

X = np.random.default_rng(0).normal(size=(6, 5, 5, 3)).astype("float32")


def network():
    return keras.Sequential(
        [
            keras.Input((5, 5, 3)),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5),
            layers.ReLU(),
            layers.Conv2D(4, 1),
            BatchInstanceNormalization(),
        ],
        name="normed",
    )


def values(model):
    return [np.array(ops.convert_to_numpy(v)) for v in model.variables]


def test_what_training_computes_is_computed_in_inference():
    model = network()
    model.layers[2].rate = 0.0
    before = values(model)
    with batch_statistics(model, X):
        found = ops.convert_to_numpy(model(X, training=False))
    np.testing.assert_equal(values(model), before)
    trained = ops.convert_to_numpy(model(X, training=True))
    np.testing.assert_allclose(found, trained, atol=1e-4)
    assert np.abs(trained - ops.convert_to_numpy(model(X, training=False))).max() > 0.1


def test_dropout_is_left_out_and_frozen_layers_keep_theirs():
    model = network()
    model.get_layer("norm").trainable = False
    frozen = values(model.get_layer("norm"))
    with batch_statistics(model, X):
        np.testing.assert_equal(values(model.get_layer("norm")), frozen)
        first = ops.convert_to_numpy(model.layers[-1].moving_mean)
    with batch_statistics(model, X):
        np.testing.assert_equal(ops.convert_to_numpy(model.layers[-1].moving_mean), first)


def test_the_own_statistics_are_back_after_an_error():
    model = network()
    before = values(model)
    with pytest.raises(KeyError), batch_statistics(model, X):
        raise KeyError
    np.testing.assert_equal(values(model), before)


def test_the_jacobian_of_an_untrained_network_has_its_normalisation():
    model, before = network(), None
    for gain in (1, 50):
        model.get_layer("conv").kernel.assign(gain * ops.convert_to_numpy(model.layers[0].kernel))
        (lent,) = measure_jacobian(model, X[:1], output="norm", batch=X, count=3).networks
        (running,) = measure_jacobian(model, X[:1], output="norm", count=3).networks
        assert (lent.statistics, running.statistics) == ("batch", "running")
        if before is not None:
            # Batch normalisation undoes the gain.
            np.testing.assert_allclose(lent.values, before[0], rtol=0.02)
            np.testing.assert_allclose(running.values, gain * before[1], rtol=1e-3)
        before = lent.values, running.values


def test_the_mode_is_in_the_table_and_old_records_had_running_statistics():
    found = measure_jacobian(network(), X[:1], batch=X, count=2)
    assert "batch" in list(found.table().columns[2].cells)
    record = found.to_json()
    del record["networks"][0]["statistics"]
    assert type(found).from_json(record).networks[0].statistics == "running"
