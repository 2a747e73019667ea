"""Laws of growth, and what the criteria say; no Keras."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.diagnostics.propagation.curves import curves, summary
from isozoo.diagnostics.propagation.fits import by_delta_chi, fits, tau
from isozoo.diagnostics.propagation.verdicts import (
    CRITERIA,
    Ends,
    by_name,
    findings,
    verdict,
)

MOMENTS = ("log_nu1_abs", "log_nu2", "log_nu4", "log_mu2", "log_mu4", "log_mu2_noise",
           "reff_signal", "reff_noise")  # fmt: skip
DEPTHS = np.arange(2, 201, 2)


@settings(max_examples=30, deadline=None)
@given(st.floats(-1, 1), st.floats(-5, 5))
def test_each_law_finds_its_own(coefficient, offset):
    exponential, _ = fits(DEPTHS, offset + coefficient * DEPTHS)
    _, power = fits(DEPTHS, offset + coefficient * np.log(DEPTHS))
    for found in (exponential, power):
        assert found.coefficient == pytest.approx(coefficient, abs=1e-9)
        assert found.offset == pytest.approx(offset, abs=1e-7)
        assert found.r2 == pytest.approx(1.0, abs=1e-6)
        assert found.rmse == pytest.approx(0.0, abs=1e-7)


def test_the_wrong_law_fits_worse():
    exponential, power = fits(DEPTHS, 0.15 * DEPTHS)
    assert (exponential.law, power.law) == ("exponential", "power law")
    assert power.r2 < 0.9 < exponential.r2


def test_too_few_depths_have_no_fit_and_infinite_ones_are_left_out():
    assert fits(DEPTHS[:2], np.zeros(2)) == ()
    broken = np.where(DEPTHS > 100, np.inf, 0.1 * DEPTHS)
    assert fits(DEPTHS, broken)[0].coefficient == pytest.approx(0.1)


def test_tau_of_the_authors_numbers():
    """Their mean increment of about 1.2321 over two layers is their exponent of 0.652."""
    assert tau(1.23211, 2) == pytest.approx(0.6523, abs=1e-3)
    fit = by_delta_chi(DEPTHS, 0.652 * np.log(DEPTHS) + 1, 1.23211, 2)
    assert fit.offset == pytest.approx(1.0, abs=0.01)
    assert fit.r2 > 0.999


def raw(**moments: np.ndarray | float) -> np.ndarray:
    """Return moments of one simulation at one location, those of noise if not given."""
    usual = {"reff_signal": 20.0, "reff_noise": 20.0, "log_mu2": np.log(0.7)}
    found = [
        np.broadcast_to({**dict.fromkeys(MOMENTS, 0.0), **usual, **moments}[name], DEPTHS.shape)
        for name in MOMENTS
    ]
    return np.stack(found, axis=-1)[None, :, None, :]


LOG = np.log(DEPTHS)
PATHOLOGIES = {
    "well-behaved": {"log_mu2_noise": 2 * 0.65 * LOG},
    "zero-dimensional signal": {"log_mu2": -2 * LOG, "log_mu2_noise": -2 * LOG},
    "one-dimensional signal": {"reff_signal": 1.03},
    "exploding sensitivity": {"log_mu2_noise": 2 * 0.15 * DEPTHS},
    "vanishing signal": {"log_nu2": -0.1 * DEPTHS, "log_mu2": -0.1 * DEPTHS,
                         "log_mu2_noise": -0.1 * DEPTHS},
    "exploding signal": {"log_nu2": 0.7 * DEPTHS, "log_mu2": 0.7 * DEPTHS,
                         "log_mu2_noise": 0.7 * DEPTHS},
}  # fmt: skip


@pytest.mark.parametrize("name", PATHOLOGIES)
def test_verdicts(name):
    found = curves(raw(**PATHOLOGIES[name]), MOMENTS, ("here",))
    assert verdict(findings(found, DEPTHS, Ends("here", "here"))) == name


def test_a_dead_signal_is_zero_dimensional_and_its_sensitivity_unknown():
    nothing = dict.fromkeys(MOMENTS[:6], np.where(DEPTHS > 150, -np.inf, 0.0))
    rank = np.where(DEPTHS > 150, np.nan, 20.0)
    found = curves(raw(**nothing, reff_signal=rank), MOMENTS, ("here",))
    said = by_name(findings(found, DEPTHS, Ends("here", "here")))
    assert verdict(tuple(said.values())) == "zero-dimensional signal, vanishing signal"
    assert said["one-dimensional signal"].value is None
    assert said["vanishing signal"].value == 0.0
    assert said["exploding sensitivity"].value is None
    assert not said["exploding sensitivity"].holds


@pytest.mark.parametrize("last", [10, 22, 60, 99])
def test_an_exponential_is_seen_before_it_is_large_and_a_power_is_none(last):
    depths = np.arange(1, last + 1)
    wiggle = 0.02 * np.sin(depths)
    laws = {"exploding sensitivity": 0.2 * depths + wiggle, "well-behaved": 0.65 * np.log(depths),
            "well-behaved, too": 0.004 * depths}  # fmt: skip
    for name, log_chi in laws.items():
        moments = np.repeat(raw()[:, :1], last, axis=1)
        moments[0, :, 0, MOMENTS.index("log_mu2_noise")] = 2 * log_chi
        found = curves(moments, MOMENTS, ("here",))
        assert verdict(findings(found, depths, Ends("here", "here"))) == name.split(",")[0]


def test_every_criterion_gives_its_reason():
    assert all(row.measures and row.reason.endswith(".") for row in CRITERIA)
    assert len({row.verdict for row in CRITERIA}) == len(CRITERIA)


def test_curves_hold_spread_and_quantiles_over_simulations():
    values = np.arange(101.0)[:, None] * np.ones(2)
    found = summary(values)
    assert found.mean.tolist() == [50.0, 50.0]
    assert found.quantiles[:, 0].tolist() == [5.0, 50.0, 95.0]
    assert found.spread[0] == pytest.approx(values[:, 0].std())


def test_increments_are_ratios_within_a_unit():
    log_noise = np.log([1.0, 4.0, 9.0])
    moments = np.zeros((1, 1, 3, len(MOMENTS)))
    moments[..., MOMENTS.index("log_mu2_noise")] = log_noise
    found = curves(moments, MOMENTS, ("a", "b", "c"))
    assert [found["delta_chi"][x].mean.item() for x in "abc"] == pytest.approx([1, 2, 3])
    assert [found["step_chi"][x].mean.item() for x in "abc"] == pytest.approx([1, 2, 1.5])
