"""The penalty against loops, dense operators, Fourier transforms and the authors' numbers."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from isozoo.initializers import Delta
from isozoo.regularizers import (
    CONDITIONS,
    METHODS,
    orthogonality_penalty,
)
from tests.harness import PROPERTY, gradients, numpy
from tests.keyed import generator
from tests.regularizers.kernels import by_loops, dense, kernels


@PROPERTY
@given(kernels(), st.sampled_from(sorted(METHODS)))
def test_every_method_is_the_sum_over_lags(drawn, method):
    kernel, strides, groups = drawn
    parts = np.split(kernel, groups, axis=-1)
    found = float(orthogonality_penalty(kernel, strides, method=method, groups=groups))
    np.testing.assert_allclose(found, sum(by_loops(p, strides) for p in parts), rtol=1e-10)


@PROPERTY
@given(kernels(side=3, channels=4, strides=2, groups=2), st.sampled_from(sorted(METHODS)))
def test_the_exact_condition_is_that_of_the_dense_operator(drawn, method):
    kernel, strides, groups = drawn
    matrix, positions = dense(kernel, strides, groups)
    # The side that can be an isometry: the outputs, unless there are more of them than inputs.
    small = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    expected = ((small @ small.T - np.eye(len(small))) ** 2).sum() / 2 / positions
    found = float(orthogonality_penalty(kernel, strides, "exact", method, groups))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@PROPERTY
@given(kernels())
def test_the_conditions_agree_where_there_are_no_more_filters_than_channels(drawn):
    kernel, strides, groups = drawn
    kernel = kernel[..., : groups * min(kernel.shape[2], kernel.shape[3] // groups)]
    paper, exact = (
        float(orthogonality_penalty(kernel, strides, condition, groups=groups))
        for condition in CONDITIONS
    )
    np.testing.assert_allclose(exact, paper, rtol=1e-10)


@PROPERTY
@given(kernels(strides=1, groups=1))
def test_the_penalty_is_the_distance_from_unitary_at_every_frequency(drawn):
    kernel, _, _ = drawn
    n = 2 * max(kernel.shape[:2]) - 1
    spectrum = np.fft.fft2(kernel, (n, n), axes=(0, 1))
    if kernel.shape[2] > kernel.shape[3]:
        spectrum = spectrum.swapaxes(2, 3)
    product = spectrum @ spectrum.conj().swapaxes(2, 3) - np.eye(spectrum.shape[2])
    expected = (np.abs(product) ** 2).sum() / (2 * n**2)
    np.testing.assert_allclose(float(orthogonality_penalty(kernel)), expected, rtol=1e-9)


@PROPERTY
@given(kernels(), st.sampled_from(CONDITIONS), st.sampled_from(sorted(METHODS)))
def test_the_gradient_is_the_slope(drawn, condition, method):
    kernel, strides, groups = drawn
    direction = np.random.default_rng(0).normal(size=kernel.shape)

    def penalty(kernel):
        return orthogonality_penalty(kernel, strides, condition, method, groups)

    (gradient,) = gradients(lambda kernel: 3.0 * penalty(kernel), kernel)
    step = 1e-5
    ahead, behind = (float(penalty(kernel + sign * step * direction)) for sign in (1, -1))
    slope = 3.0 * (ahead - behind) / (2 * step)
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-7)


def slope(kernel, direction, strides, method):
    """Return the penalty's slope along a direction, as a function that can be derived again."""
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        penalty = orthogonality_penalty(kernel, strides, method=method)
    return tf.reduce_sum(tape.gradient(penalty, kernel) * direction)


@pytest.mark.parametrize("strides", [1, 2])
def test_all_methods_have_the_same_second_derivatives(strides):
    kernel, direction = np.random.default_rng(0).normal(size=(2, 3, 3, 4, 6))
    found = {
        method: gradients(lambda k, method=method: slope(k, direction, strides, method), kernel)[0]
        for method in METHODS
    }
    for method in ("gram", "fourier", "karatsuba"):
        np.testing.assert_allclose(found[method], found["convolution"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strides", [1, 2])
def test_a_delta_kernel_has_exactly_no_penalty(strides, method):
    assert float(orthogonality_penalty(Delta()((3, 3, 8, 16)), strides, method=method)) == 0.0


AUTHORS = json.loads((Path(__file__).parents[1] / "golden" / "ortho_kernels.json").read_text())


PLAIN = [row for row in AUTHORS if row["groups"] == 1]
GROUPED = [row for row in AUTHORS if row["groups"] > 1]


def authors_kernel(row: dict) -> np.ndarray:
    """Draw the kernel of a row, in the layout of PyTorch."""
    shape = row["shape_oihw"]
    drawn = generator(row["id"]).standard_normal(shape).astype("float32")
    return (drawn * np.float32(np.prod(shape[1:]) ** -0.5)).astype("float64")


def authors_penalty(kernel, row: dict, **options):
    kernel = tf.transpose(kernel, (2, 3, 1, 0))
    return orthogonality_penalty(kernel, row["stride"], groups=row["groups"], **options)


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row["id"])
@pytest.mark.parametrize("method", METHODS)
def test_penalty_and_gradient_are_the_authors(row, method):
    kernel = authors_kernel(row)
    for dtype, tolerance in (("float64", 1e-6), ("float32", 1e-5)):
        found = float(authors_penalty(kernel.astype(dtype), row, method=method))
        np.testing.assert_allclose(found, row["penalty_f64"], rtol=tolerance)
    (gradient,) = gradients(lambda k: authors_penalty(k, row, method=method), kernel)
    np.testing.assert_allclose(np.linalg.norm(gradient), row["grad_frobenius_f64"], rtol=1e-6)
    np.testing.assert_allclose(gradient.ravel()[:8], row["grad_first8_f64"], rtol=1e-5)


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row["id"])
def test_the_exact_condition_is_half_of_lorth(row):
    """Lorth is the squared distance that deel-lip takes, shifted so that it can reach 0."""
    found = float(authors_penalty(authors_kernel(row), row, condition="exact"))
    np.testing.assert_allclose(found, row["lorth_f64"] / 2, rtol=1e-6)


@pytest.mark.parametrize("row", GROUPED, ids=lambda row: row["id"])
def test_the_penalty_of_groups_is_their_sum(row):
    found = float(authors_penalty(authors_kernel(row), row))
    np.testing.assert_allclose(found, row["penalty_sum_of_per_group_f64"], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("method", METHODS)
def test_the_penalty_is_computed_in_at_least_float32(dtype, method):
    kernel = keras.ops.cast(np.random.default_rng(0).normal(size=(3, 3, 8, 8)) / 8, dtype)
    found = orthogonality_penalty(kernel, method=method)
    assert keras.backend.standardize_dtype(found.dtype) == max(dtype, "float32", key=bits)
    expected = by_loops(numpy(kernel).astype("float64"), (1, 1))
    np.testing.assert_allclose(float(found), expected, rtol=1e-5)


def bits(dtype: str) -> int:
    return int(dtype.removeprefix("b").removeprefix("float"))


def test_gradient_descent_on_the_penalty_reaches_an_isometry():
    kernel = keras.Variable(np.random.default_rng(0).normal(size=(3, 3, 4, 8)) / 6)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(150):
        found = gradients(lambda k: orthogonality_penalty(k, method="convolution"), kernel)
        optimizer.apply([tf.constant(found[0])], [kernel])
    assert float(orthogonality_penalty(kernel)) < 1e-4
    singular = np.linalg.svd(np.fft.fft2(numpy(kernel), (8, 8), axes=(0, 1)), compute_uv=False)
    np.testing.assert_allclose(singular, 1.0, atol=1e-2)


def test_groups_must_divide_the_filters():
    with pytest.raises(ValueError, match="3 groups do not divide 8 filters"):
        orthogonality_penalty(np.ones((3, 3, 4, 8)), groups=3)


def test_kernels_of_other_ranks_are_refused():
    with pytest.raises(
        ValueError, match=r"\(height, width, channels, filters\); got shape \(3, 4\)"
    ):
        orthogonality_penalty(np.ones((3, 4)))
