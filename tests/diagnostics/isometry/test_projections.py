"""Singular values from products alone, held against decompositions of the whole."""

import numpy as np
import pytest

from isozoo.diagnostics.isometry.projections import APPLICATIONS, OVERSAMPLING, singular_values


def found(matrix, count, **more):
    return singular_values(
        lambda v: matrix @ v, lambda u: matrix.T @ u, matrix.shape, count, **more
    )


def drawn(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.mark.parametrize("shape", [(4, 90), (90, 4), (12, 12)])
def test_few_rows_or_columns_are_decomposed_exactly(shape):
    matrix = drawn(*shape)
    expected = np.linalg.svd(matrix, compute_uv=False)
    got = found(matrix, 3)
    np.testing.assert_allclose(got.values, expected[:3], rtol=1e-12)
    assert got.exact
    assert got.frobenius == pytest.approx(np.linalg.norm(matrix), rel=1e-12)
    assert (got.frobenius_error, got.errors.tolist()) == (0, [0, 0, 0])


@pytest.mark.parametrize("shape", [(80, 120), (120, 80)])
def test_values_that_fall_off_are_found_to_nine_digits(shape):
    left, right = (np.linalg.qr(drawn(n, n, seed))[0] for seed, n in enumerate(shape))
    values = 0.5 ** np.arange(80)
    matrix = left[:, :80] * values @ right[:, :80].T
    got = found(matrix, 5)
    np.testing.assert_allclose(got.values, values[:5], rtol=1e-9)
    assert got.errors.max() < 1e-6


def test_every_value_has_a_true_one_within_its_error():
    # The hardest case: a random matrix, whose values stand close together.
    matrix = drawn(150, 200)
    true = np.linalg.svd(matrix, compute_uv=False)
    got = found(matrix, 5)
    assert not got.exact
    distance = np.abs(got.values[:, None] - true).min(axis=1)
    assert (distance <= got.errors + 1e-9).all()
    np.testing.assert_allclose(got.values, true[:5], rtol=0.05)
    assert (got.values <= true[:5] + 1e-9).all()
    norm = np.linalg.norm(matrix)
    assert abs(got.frobenius - norm) < 4 * got.frobenius_error < 0.2 * norm


@pytest.mark.parametrize("outlier", [1.3, 1.5])
@pytest.mark.parametrize("lowest", [1.0, 0.9])
def test_a_value_that_stands_out_of_a_flat_spectrum_is_found(outlier, lowest):
    # Nearly an isometry: the last block of the iteration alone sees little of the outlier.
    values = np.linspace(lowest, 1, 4000)[:, None]
    values[1234] = outlier
    got = singular_values(lambda v: values * v, lambda u: values * u, (4000, 4000), 3)
    assert got.values[0] == pytest.approx(outlier, rel=1e-3)
    assert (got.values[1:] <= 1 + 1e-9).all()
    assert got.errors[0] < 0.05


@pytest.mark.parametrize("shape", [(30, 200), (200, 30)])
def test_a_basis_that_fills_the_space_has_all_values(shape):
    matrix = drawn(*shape)
    got = found(matrix, 5)
    assert not got.exact
    np.testing.assert_allclose(got.values, np.linalg.svd(matrix)[1][:5], rtol=1e-12)
    assert got.errors.max() < 1e-11 * got.values[0]


def test_few_values_that_are_not_zero_are_all_found():
    matrix = drawn(300, 4) @ drawn(4, 200, seed=1)
    expected = np.linalg.svd(matrix, compute_uv=False)[:6]
    got = found(matrix, 6)
    np.testing.assert_allclose(got.values, expected, rtol=1e-12, atol=1e-9)


def test_of_an_isometry_every_estimate_is_one():
    got = found(np.linalg.qr(drawn(100, 100))[0], 4)
    np.testing.assert_allclose(got.values, 1, rtol=1e-12)
    assert got.errors.max() < 1e-12


def test_an_operator_that_is_zero():
    got = found(np.zeros((40, 50)), 2)
    assert got.values.tolist() == [0, 0]
    assert (got.frobenius, got.frobenius_error) == (0, 0)


def test_products_are_as_many_as_the_cost_says():
    matrix, made = drawn(150, 200), []

    def product(operator):
        return lambda vectors: made.append(vectors.shape[1]) or operator @ vectors

    singular_values(product(matrix), product(matrix.T), matrix.shape, 5)
    assert len(made) == APPLICATIONS
    assert max(made) == 5 + OVERSAMPLING


def test_at_least_one_value_is_asked_for():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        found(np.eye(OVERSAMPLING + 1), 0)
