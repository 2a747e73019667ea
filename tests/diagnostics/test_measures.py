"""The table of measures: every row runs, is costed, saved and read again."""

import importlib

import keras
import numpy as np
import pytest

from isozoo import architecture
from isozoo.diagnostics import Cost, diagnose
from isozoo.diagnostics.measures import _OTHERS, MEASURES, chosen, compare, read_result
from isozoo.diagnostics.subject import Subject, untrained
from isozoo.errors import DiagnosticsError, UnknownNameError


@pytest.fixture(scope="module")
def subject():
    model = untrained(architecture("isonet-8", classes=2, width=4), ["a", "b"])
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    return Subject("the net", model, images, np.arange(4) % 2, fresh=True)


@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if row.usual])
def test_a_usual_measure_runs_and_is_read_again(subject, name, tmp_path):
    assert isinstance(MEASURES[name].estimate(subject), Cost)
    found = MEASURES[name].run(subject)
    assert (found.measure, found.model) == (name, "the net")
    assert found.table().row_count > 0
    (numbers, *_) = found.save(tmp_path)
    assert read_result(numbers).to_json() == found.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if not row.usual])
def test_another_measure_runs_and_is_read_again(subject, name, tmp_path):
    test_a_usual_measure_runs_and_is_read_again(subject, name, tmp_path)


@pytest.mark.parametrize("name", MEASURES)
def test_a_row_names_what_there_is(name):
    row = MEASURES[name]
    for attribute in (row.result, row.function, row.cost):
        module, _, attribute = attribute.rpartition(":")
        home = importlib.import_module(f"isozoo.diagnostics.{module or row.home}")
        assert hasattr(home, attribute)
    assert (
        getattr(importlib.import_module(f"isozoo.diagnostics.{row.home}"), row.result).measure
        == name
    )


def test_measures_are_chosen_by_name():
    assert chosen(None) == [name for name, row in MEASURES.items() if row.usual]
    assert chosen(["all"]) == list(MEASURES)
    assert chosen(["jacobian", "jacobian"]) == ["jacobian"]
    with pytest.raises(UnknownNameError, match=r"unknown measure 'isometri'.*'isometry'"):
        chosen(["isometri"])


def test_only_results_of_one_measure_stand_side_by_side(subject):
    spectra, filters = (MEASURES[name].run(subject) for name in ("spectra", "filters"))
    assert len(compare(spectra, spectra).networks) == 2
    with pytest.raises(DiagnosticsError, match="filters, spectra; give several of one"):
        compare(spectra, filters)


@pytest.mark.parametrize("name", _OTHERS)
def test_results_of_no_row_are_read_as_what_they_are(name):
    module, _, attribute = _OTHERS[name].rpartition(":")
    home = importlib.import_module(f"isozoo.diagnostics.{module}")
    assert getattr(home, attribute).measure == name


def test_results_side_by_side_are_read_again(subject, tmp_path):
    found = MEASURES["propagation"].run(subject)
    both = compare(found, found)
    (numbers, _) = both.save(tmp_path)
    assert read_result(numbers).to_json() == both.to_json()
    numbers.write_text('{"measure": "norms"}')
    with pytest.raises(UnknownNameError, match="unknown measure 'norms'"):
        read_result(numbers)


def tiny(axis=-1):
    """A network of Keras's own layers that ends in softmax."""
    inputs = keras.Input((8, 8, 3) if axis == -1 else (3, 8, 8))
    kind = "channels_last" if axis == -1 else "channels_first"
    x = keras.layers.Conv2D(4, 3, padding="same", data_format=kind)(inputs)
    x = keras.layers.BatchNormalization(axis=axis)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D(data_format=kind)(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x), name="tiny")


def test_any_keras_model_is_measured():
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3))
    found = diagnose(tiny(), images, [0, 1, 0, 1])
    assert list(found) == chosen(None)
    assert {result.model for result in found.values()} == {"tiny"}
    assert found["spectra"].networks[0].layers[0].size == (8, 8)
    first = diagnose(tiny(axis=1), images[:, :, :6].transpose(0, 3, 1, 2), [0] * 4, ["spectra"])
    assert first["spectra"].networks[0].layers[0].kernel == (3, 3, 3, 4)
    with pytest.raises(UnknownNameError, match="unknown measure 'isometri'"):
        diagnose(tiny(), images, [0] * 4, ["spectra", "isometri"])


def test_filters_of_an_untrained_network_see_the_statistics_of_the_batch():
    # All that the convolution makes is far above zero, until it is normalised.
    model, images = tiny(), np.random.default_rng(0).normal(size=(4, 8, 8, 3))
    model.layers[1].bias.assign(np.full(4, 100.0))
    (trained,) = diagnose(model, images, [0] * 4, ["filters"])["filters"].layers
    (fresh,) = diagnose(model, images, [0] * 4, ["filters"], fresh=True)["filters"].layers
    assert trained.always_on.all()
    assert not fresh.always_on.any()


def test_a_model_keeps_its_own_optimiser():
    model, images = tiny(), np.random.default_rng(0).normal(size=(4, 8, 8, 3))
    diagnose(model, images, [0, 1, 0, 1], ["covariate_shift"])
    assert not model.compiled
    model.compile(keras.optimizers.Adam(0.25))
    optimizer = model.optimizer
    weights = model.get_weights()
    diagnose(model, images, [0, 1, 0, 1], ["covariate_shift", "smoothness"])
    assert model.optimizer is optimizer
    assert int(optimizer.iterations) == 0
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Subject("its own", model, images, np.zeros(4)).learning_rate == 0.25


@pytest.mark.slow
def test_a_published_architecture_of_keras_is_measured():
    model = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=4)
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
    found = diagnose(model, images, np.arange(4), fresh=True, label="ResNet50")
    assert list(found) == chosen(None)
    (network,) = found["isometry"].networks
    assert network.label == "ResNet50"
    assert np.isfinite(network.signals.gains).all()
    assert len(found["spectra"].networks[0].layers) == 54
