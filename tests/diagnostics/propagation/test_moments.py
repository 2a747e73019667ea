"""What must hold of moments and of the effective rank, whatever the tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from isozoo.diagnostics.propagation.moments import (
    MEASURED,
    POWERS,
    Scaled,
    as_rows,
    effective_rank,
    measured,
    power_means,
)

few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(2, 12), st.integers(1, 8))


def drawn(seed: int, size: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(size) * rng.uniform(0.1, 3, size[1]) + rng.standard_normal(size[1])


def means(rows: np.ndarray) -> dict[str, float]:
    return dict(zip(POWERS, power_means(ops.convert_to_tensor(rows)), strict=True))


def rank(rows: np.ndarray) -> float:
    return effective_rank(ops.convert_to_tensor(rows))


@few
@given(seeds, sizes)
def test_an_orthogonal_map_leaves_second_moments_and_rank(seed, size):
    rows = drawn(seed, size)
    turned = rows @ np.linalg.qr(np.random.default_rng(seed).standard_normal((size[1],) * 2))[0]
    before, after = means(rows), means(turned)
    for name in ("nu2", "mu2"):
        assert after[name] == pytest.approx(before[name], rel=1e-9)
    assert rank(turned) == pytest.approx(rank(rows), rel=1e-9)


@few
@given(seeds, sizes)
def test_the_rank_is_between_one_and_the_dimensions(seed, size):
    most = min(size[1], size[0] - 1)
    assert 1 - 1e-9 <= rank(drawn(seed, size)) <= most + 1e-9


@few
@given(seeds, sizes)
def test_what_all_rows_share_is_in_no_central_moment(seed, size):
    rows = drawn(seed, size)
    moved = rows + 10 * np.random.default_rng(seed).standard_normal(size[1])
    for name in ("mu2", "mu4"):
        assert means(moved)[name] == pytest.approx(means(rows)[name], rel=1e-6)
    assert rank(moved) == pytest.approx(rank(rows), rel=1e-6)


@few
@given(seeds, sizes)
def test_moments_are_ordered_and_add_up(seed, size):
    rows = drawn(seed, size)
    found = means(rows)
    assert found["nu2"] == pytest.approx(found["mu2"] + (rows.mean(axis=0) ** 2).mean())
    assert found["nu1_abs"] ** 2 <= found["nu2"] * (1 + 1e-9)
    assert found["nu2"] ** 2 <= found["nu4"] * (1 + 1e-9)


@few
@given(seeds, sizes, st.integers(-300, 300), st.integers(-300, 300))
def test_scale_moves_logarithms_and_leaves_ranks(seed, size, signal, noise):
    rows, other = (ops.convert_to_tensor(drawn(s, size)) for s in (seed, seed + 1))
    found = dict(zip(MEASURED, measured(Scaled(rows, signal), Scaled(other, noise)), strict=True))
    plain = dict(zip(MEASURED, measured(Scaled(rows), Scaled(other)), strict=True))
    log2 = math.log(2)
    assert found["log_nu4"] == pytest.approx(plain["log_nu4"] + 4 * signal * log2, rel=1e-9)
    assert found["log_mu2"] == pytest.approx(plain["log_mu2"] + 2 * signal * log2, rel=1e-9)
    assert found["log_mu2_noise"] == pytest.approx(
        plain["log_mu2_noise"] + 2 * noise * log2, rel=1e-9
    )
    assert found["reff_signal"] == plain["reff_signal"]


@few
@given(seeds, st.floats(1e-30, 1e30))
def test_rescaling_changes_no_digit(seed, factor):
    values = (factor * drawn(seed, (3, 2))).astype("float32")
    scaled = Scaled(ops.convert_to_tensor(values)).rescaled()
    stored = ops.convert_to_numpy(scaled.tensor)
    assert 0.25 <= np.abs(stored).max() <= 1
    np.testing.assert_array_equal(np.ldexp(stored, scaled.exponent), values)


def test_rows_that_are_equal_have_no_rank_and_what_is_not_finite_none():
    assert math.isnan(rank(np.zeros((4, 3))))
    assert math.isnan(rank(np.full((1000, 3), 0.1, "float32")))
    assert rank(0.1 + 1e-4 * np.outer(np.arange(-2.0, 3.0), [1, 1]).astype("float32")) >= 0.999
    assert math.isnan(rank(np.array([[1.0, np.inf], [0.0, 1.0]])))


def test_one_direction_has_rank_1_and_independent_channels_have_theirs():
    assert rank(np.outer(np.arange(5.0), [1.0, 2.0, 3.0])) == pytest.approx(1.0)
    assert rank(np.concatenate([np.eye(4), -np.eye(4)])) == pytest.approx(4.0)


def test_channels_may_be_on_any_axis():
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    first = ops.convert_to_numpy(as_rows(ops.convert_to_tensor(images.transpose(0, 3, 1, 2)), 1))
    np.testing.assert_array_equal(first, images.reshape(-1, 5))
