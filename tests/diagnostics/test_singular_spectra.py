"""Spectra of whole networks."""

import json
import tracemalloc

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics.singular_spectra import Spectra, spectra, spectra_cost


@pytest.fixture(scope="module")
def isometric():
    return spectra(Classifier(architecture("isonet-8", classes=2)), 16, "isonet-8")


def test_a_network_that_starts_as_identity_is_isometric_but_where_it_down_samples(isometric):
    (network,) = isometric.networks
    plain = [layer for layer in network.constrained if layer.strides == (1, 1)]
    assert len(plain) == 4
    for layer in plain:
        assert layer.condition == pytest.approx(1.0)
        assert layer.nearest.spectral < 1e-12
    assert network.distance() < 1e-12
    # Delta sees one of four pixels and fills half of the filters.
    assert network.distance(strided=True) == pytest.approx(0.5**0.5)
    strided = next(layer for layer in network.layers if layer.strides == (2, 2))
    assert strided.condition == np.inf
    assert strided.nearest.spectral == 1.0
    assert {layer.constrained for layer in network.layers if "stem" in layer.name} == {False}


def test_results_are_saved_and_read_again_to_the_bit(isometric, tmp_path):
    isometric.save(tmp_path)
    found = Spectra.read(tmp_path / "spectra.json")
    assert found.to_json() == json.loads(json.dumps(isometric.to_json()))
    assert found.networks[0].layers[0].nearest == isometric.networks[0].layers[0].nearest


def test_networks_are_shown_side_by_side(isometric):
    other = spectra(Classifier(architecture("resnet-8", classes=2)), 16, "resnet-8")
    both = isometric.beside(other)
    assert both.model == "isonet-8, resnet-8"
    assert both.networks[1].distance() > 0.5
    assert [axes.get_title() for axes in both.plot().axes] == ["isonet-8", "resnet-8"]
    rows = both.table().row_count
    assert rows == sum(len(network.layers) for network in both.networks)


def test_layers_that_cannot_be_read_are_named_in_result_and_table():
    model = keras.Sequential([keras.Input((8, 4)), keras.layers.Conv1D(3, 2, name="line")])
    found = spectra(model, label="line network")
    assert found.networks[0].unread == ("line (Conv1D)",)
    assert found.networks[0].distance() is None
    assert "line (Conv1D)" in found.table().columns[1]._cells
    (axes,) = found.plot().axes
    assert [text.get_text() for text in axes.texts] == ["no layer could be read\nline (Conv1D)"]


def test_small_maps_are_marked(isometric):
    (network,) = isometric.networks
    sizes = {layer.name: layer.size[0] for layer in network.layers if layer.small}
    assert sizes
    assert max(sizes.values()) < 5
    others = [layer for layer in network.layers if not layer.small and layer.kernel[0] == 3]
    assert min(layer.size[0] for layer in others) >= 5
    assert any(cell.endswith("*") for cell in isometric.table().columns[3]._cells)


def test_no_more_than_one_kernel_is_held_and_the_cost_says_so():
    parts = [keras.layers.Dense(300, name=f"dense{i}") for i in range(10)]
    model = keras.Sequential([keras.Input((300,)), *parts])
    spectra(model)
    tracemalloc.start()
    found = spectra(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.networks[0].layers) == 10
    # All ten kernels in float64 are 7.2 MB.
    assert peak < 4 * 8 * 300**2
    assert spectra_cost(model).bytes < 4 * 8 * 300**2


@pytest.mark.slow
def test_a_network_of_keras_is_measured_whole():
    model = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=10)
    (network,) = spectra(model).networks
    assert network.unread == ()
    assert len(network.layers) == 28
    assert all(np.isfinite(layer.quantiles).all() for layer in network.layers)


def test_the_cost_grows_with_the_images():
    model = Classifier(architecture("isonet-8", classes=2))
    small, large = (spectra_cost(model, size) for size in (8, 32))
    assert small.batch == 1
    assert small.bytes < large.bytes
