"""Simulated networks: steps, kinds, errors and results."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras import ops

from isozoo.diagnostics.gradients import value_and_jvp
from isozoo.diagnostics.propagation.kernels import Place, draw
from isozoo.diagnostics.propagation.kinds import HINGES, KINDS, NORMALIZATIONS, Statistics
from isozoo.diagnostics.propagation.moments import Scaled
from isozoo.diagnostics.propagation.plots import plot
from isozoo.diagnostics.propagation.result import Propagation
from isozoo.diagnostics.propagation.simulation import Size, simulate, simulation_cost
from isozoo.diagnostics.propagation.steps import (
    Carried,
    activation,
    convolution,
    normalization,
    standardize,
)
from isozoo.errors import DataError, DiagnosticsError, UnknownNameError

TINY = {"width": 8, "depth": 6, "batch": 4, "simulations": 2, "points": 3}


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (12, 8, 8, 3))


def tensor(*shape: int, seed: int = 0):
    return ops.convert_to_tensor(np.random.default_rng(seed).standard_normal(shape))


def test_every_kind_refers_to_rows_that_are_there(images):
    for kind in KINDS.values():
        assert kind.normalization in {*NORMALIZATIONS, "none"}
        assert kind.activation in HINGES
        assert kind.locations[0] == "input"
        assert kind.ranked
    assert len(KINDS) >= 16


@pytest.mark.parametrize("kind", ["gn-res", "bin-ff", "isonet-orthogonal"])
def test_kinds_run(kind, images):
    found = simulate(kind, images, **TINY)
    assert found.depths.tolist() == [2, 4, 6]
    assert np.isfinite(found.curve("log_chi").mean).all()
    assert found.curve("reff_signal").quantiles.shape == (3, 3)
    laws = [fit.law for fit in found.fits]
    assert ("power law by delta chi" in laws) == kind.endswith("-res")


@pytest.mark.parametrize("kind", ["isonet", "r-isonet", "fixup"])
def test_what_starts_as_the_identity_changes_nothing(kind, images):
    """After the first activation, which Delta kernels and silent branches hand on."""
    found = simulate(kind, images, **TINY)
    for measure in ("log_chi", "log_nu2", "reff_signal", "reff_noise"):
        values = found.curve(measure).mean
        np.testing.assert_allclose(values, values[0], rtol=1e-5, atol=1e-5)
    assert found.verdict == "well-behaved"


def test_depth_does_not_overflow():
    """Each unit about doubles the square of the signal: float32 ends at 2**128."""
    settings = {"width": 32, "depth": 200, "batch": 4, "simulations": 1, "points": 3}
    found = simulate("vanilla-res", kernel_size=1, **settings)
    assert found.curve("log_nu2").mean[-1] > 89
    assert np.isfinite(found.curve("log_chi").mean).all()
    assert "exploding signal" in found.verdict


def test_a_simulation_does_not_depend_on_how_many_follow(images):
    one, two = (simulate("vanilla", images, **{**TINY, "simulations": n}) for n in (1, 2))
    again = simulate("vanilla", images, **{**TINY, "simulations": 1})
    assert one.to_json() == again.to_json()
    # Of two, each is one deviation from the mean; of others than these two, it is not.
    mean, spread = two.curve("log_chi").mean, two.curve("log_chi").spread
    assert (spread > 1e-3).all()
    np.testing.assert_allclose(np.abs(one.curve("log_chi").mean - mean), spread, rtol=1e-6)
    assert simulate("vanilla", images, **TINY, seed=1).to_json() != again.to_json()


def test_sensitivity_does_not_depend_on_the_scale_of_images(images):
    """They are standardised first, and ReLU networks are homogeneous."""
    ours, theirs = (simulate("vanilla", scale * images, **TINY) for scale in (1.0, 1e6))
    np.testing.assert_allclose(ours.curve("log_chi").mean, theirs.curve("log_chi").mean, rtol=1e-4)


def test_the_periodic_boundary_commutes_with_shifts():
    kernel, image = tensor(3, 3, 2, 2, seed=1), tensor(1, 6, 6, 2)
    moved = ops.roll(ops.roll(image, 2, axis=1), 1, axis=2)
    here, there = (
        convolution(Carried(Scaled(x), Scaled(x)), kernel, "periodic").signal.tensor
        for x in (image, moved)
    )
    here = ops.roll(ops.roll(here, 2, axis=1), 1, axis=2)
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (here, there)), atol=1e-12)


def test_the_symmetric_boundary_keeps_a_plain_image_plain():
    kernel, image = tensor(3, 3, 2, 2, seed=1), ops.ones((1, 5, 5, 2), dtype="float64")
    found = convolution(Carried(Scaled(image), Scaled(image)), kernel, "symmetric").noise.tensor
    assert float(ops.max(ops.std(found, axis=(1, 2)))) < 1e-12


@pytest.mark.parametrize("statistics", [Statistics(1.0, 1, False), Statistics(1.0, -1, True)])
def test_differentiated_statistics_are_the_derivative(statistics):
    x, dx = tensor(3, 4, 4, 6), tensor(3, 4, 4, 6, seed=1)
    _, expected = value_and_jvp(lambda y: standardize(y, y, statistics, 1e-3)[0], [x], [dx])
    found = standardize(x, dx, statistics, 1e-3, differentiated=True)[1]
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (found, expected)), atol=1e-9)


@pytest.mark.parametrize("name", ["instance", "batch-instance"])
def test_signal_and_noise_are_divided_by_the_deviations_of_the_signal(name):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 4, 5)) * rng.uniform(0.1, 5, (3, 1, 1, 5)) + 1
    dx = rng.standard_normal(x.shape)
    carried = Carried(*(Scaled(ops.convert_to_tensor(each)) for each in (x, dx)))
    signal, noise = normalization(carried, name, 1e-3)
    shares = {"instance": [(1.0, (1, 2))], "batch-instance": [(0.5, (0, 1, 2)), (0.5, (1, 2))]}
    expected, expected_noise = 0.0, 0.0
    for share, axes in shares[name]:
        deviation = np.sqrt(x.var(axis=axes, keepdims=True) + 1e-3)
        expected = expected + share * (x - x.mean(axis=axes, keepdims=True)) / deviation
        expected_noise = expected_noise + share * dx / deviation
    np.testing.assert_allclose(ops.convert_to_numpy(signal.tensor), expected, atol=1e-12)
    np.testing.assert_allclose(ops.convert_to_numpy(noise.tensor), expected_noise, atol=1e-12)
    assert (signal.exponent, noise.exponent) == (0, 0)


@pytest.mark.parametrize(("depth", "points"), [(6, 3), (7, 3), (199, 100), (5, 9), (10, 4)])
def test_depths_are_at_most_so_many_and_the_last_is_one(depth, points):
    found = Size(8, depth, 4, 1, points).depths
    assert len(found) <= points
    assert found[-1] == depth
    assert len(set(found)) == len(found)


def test_the_last_depth_is_measured(images):
    found = simulate("vanilla", images, **{**TINY, "depth": 7})
    deeper = simulate("vanilla", images, **{**TINY, "depth": 7, "points": 7})
    assert found.depths.tolist() == [3, 6, 7]
    assert found.curve("log_chi").mean[-1] == deeper.curve("log_chi").mean[-1]


def test_the_theory_of_normalised_residual_networks_is_asked_of_no_others(images):
    assert simulate("vanilla-res", images, **TINY).fit("power law by delta chi") is None


def test_the_hinge_of_an_activation_is_in_the_units_of_the_signal():
    x = ops.convert_to_tensor(np.array([-3.0, -0.5, 2.0]).reshape(1, 1, 1, 3))
    plain = activation(Carried(Scaled(x), Scaled(ops.ones_like(x))), "srelu")
    moved = activation(Carried(Scaled(x / 8, 3), Scaled(ops.ones_like(x))), "srelu")
    for found in (plain.signal, moved.signal):
        values = ops.convert_to_numpy(found.tensor) * 2.0**found.exponent
        assert values.ravel().tolist() == [-1.0, -0.5, 2.0]
    assert ops.convert_to_numpy(moved.noise.tensor).ravel().tolist() == [0.0, 1.0, 1.0]


def test_kernels_have_their_variance_or_are_orthogonal():
    rng = np.random.default_rng(0)
    place = Place(unit=1, layer=1, layers=2, units=16, shape=(3, 3, 32, 32))
    assert draw(rng, place, "float64", "he").var() == pytest.approx(2 / 288, rel=0.1)
    first = draw(rng, place._replace(unit=0), "float64", "delta")
    assert first.var() == pytest.approx(1 / 288, rel=0.1)
    assert draw(rng, place, "float64", "fixup").var() == pytest.approx(2 / 288 / 16, rel=0.1)
    assert not draw(rng, place._replace(layer=2), "float64", "fixup").any()
    centre = draw(rng, place, "float64", "delta-orthogonal")[1, 1]
    np.testing.assert_allclose(centre @ centre.T, np.eye(32), atol=1e-12)


def test_results_survive_being_saved_and_are_drawn(images, tmp_path):
    found = simulate("ln-res", images, **TINY)
    paths = found.save(tmp_path)
    assert [path.name for path in paths] == ["propagation.json", "propagation.png"]
    again = Propagation.from_json(json.loads(paths[0].read_text("utf-8")))
    assert again.to_json() == found.to_json()
    assert again.verdict == found.verdict
    both = found.beside(again)
    assert [list(column.cells)[1] for column in both.table().columns][-1] == found.verdict
    single, several = found.plot(), both.plot()
    titles = [axes.get_title() for axes in single.axes]
    assert titles[1] == f"normalised sensitivity χ: {found.verdict}"
    assert len(several.axes) == 4
    rows = found.table().columns[0]
    assert list(rows.cells)[:2] == ["zero-dimensional signal", "one-dimensional signal"]
    with pytest.raises(ValueError, match="nothing to draw"):
        plot([])


def test_asking_for_a_curve_that_is_not_there(images):
    found = simulate("vanilla", images, **TINY)
    with pytest.raises(DiagnosticsError, match="asked for reff_signal at convolution"):
        found.curve("reff_signal", "convolution")


@pytest.mark.parametrize(
    ("kind", "settings", "error", "message"),
    [
        ("vanila", {}, UnknownNameError, "did you mean 'vanilla'"),
        ("vanilla", {"boundary": "periodical"}, UnknownNameError, "unknown boundary"),
        ("vanilla", {"depth": 0}, ValueError, "depth must be at least 1, got 0"),
        ("vanilla", {"simulations": 0}, ValueError, "simulations must be at least 1"),
        ("in-ff", {"kernel_size": 1}, ValueError, "normalises each channel of an image"),
        ("vanilla", {"boundary": "symmetric", "kernel_size": 2}, ValueError, "an odd kernel"),
        ("vanilla", {"batch": 13}, DataError, r"draw 13 images .*shape \(12, 8, 8, 3\)"),
    ],
)
def test_refusals(kind, settings, error, message, images):
    with pytest.raises(error, match=message):
        simulate(kind, images, **{**TINY, **settings})


def test_the_cost_grows_with_the_square_of_the_width():
    costs = [simulation_cost("bn-res", width=width, depth=10, simulations=3) for width in (64, 128)]
    assert "20 layers" in costs[0].what
    assert costs[0].passes == 6
    assert 1.9 < costs[1].bytes / costs[0].bytes < 2.1
