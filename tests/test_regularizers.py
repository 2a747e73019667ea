"""The penalty against loops, dense operators, Fourier transforms and the authors' numbers."""

import itertools
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from isozoo.initializers import Delta
from isozoo.models import architecture
from isozoo.models.backbone import Backbone
from isozoo.regularizers import (
    CONDITIONS,
    METHODS,
    OrthogonalConv,
    convolutions,
    is_constrained,
    model_penalty,
    orthogonality_penalty,
)
from tests.harness import PROPERTY, gradients, numpy
from tests.keyed import generator


@st.composite
def kernels(draw, side=5, channels=8, strides=3, groups=3):
    """Draw a float64 kernel `(kh, kw, C / groups, M)`, its strides and its groups."""
    groups = draw(st.integers(1, groups))
    shape = [draw(st.integers(1, side)) for _ in "hw"]
    shape += [draw(st.integers(1, channels)), groups * draw(st.integers(1, channels // groups))]
    kernel = np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape)
    pair = draw(st.tuples(st.integers(1, strides), st.integers(1, strides)))
    return kernel / math.sqrt(np.prod(shape[:3])), pair, groups


def by_loops(kernel: np.ndarray, strides: tuple[int, int]) -> float:
    """The formula of the paper's rule, lag by lag and tap by tap."""
    if kernel.shape[2] >= kernel.shape[3]:
        kernel = kernel.swapaxes(2, 3)
    (kh, kw, n, _), total = kernel.shape, 0.0
    for dy, dx in itertools.product(range(1 - kh, kh), range(1 - kw, kw)):
        if dy % strides[0] or dx % strides[1]:
            continue
        gram = -np.eye(n) if dy == dx == 0 else np.zeros((n, n))
        for y, x in itertools.product(range(kh), range(kw)):
            if 0 <= y + dy < kh and 0 <= x + dx < kw:
                gram += kernel[y, x] @ kernel[y + dy, x + dx].T
        total += (gram**2).sum() / 2
    return total


def dense(kernel: np.ndarray, strides: tuple[int, int], groups: int) -> tuple[np.ndarray, int]:
    """The circular convolution as a matrix, and the number of its output positions.

    The image is so large that two taps on the stride grid meet at one lag only.
    """
    kh, kw, per_group, filters = kernel.shape
    rows, columns = (2 * math.ceil(k / s) - 1 for k, s in zip((kh, kw), strides, strict=True))
    shape = (rows * strides[0], columns * strides[1], per_group * groups)
    matrix = np.zeros((rows, columns, filters, *shape))
    for i, j, y, x, m in itertools.product(*map(range, (rows, columns, kh, kw, filters))):
        first = m // (filters // groups) * per_group
        at = ((i * strides[0] + y) % shape[0], (j * strides[1] + x) % shape[1])
        matrix[(i, j, m, *at)][first : first + per_group] += kernel[y, x, :, m]
    return matrix.reshape(rows * columns * filters, -1), rows * columns


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
    for method in ("gram", "fourier"):
        np.testing.assert_allclose(found[method], found["convolution"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strides", [1, 2])
def test_a_delta_kernel_has_exactly_no_penalty(strides, method):
    assert float(orthogonality_penalty(Delta()((3, 3, 8, 16)), strides, method=method)) == 0.0


AUTHORS = json.loads((Path(__file__).parent / "golden" / "ortho_kernels.json").read_text())


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


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_does_not_change_the_loss_of_a_layer(policy):
    losses = []
    for dtype in ("float32", policy):
        layer = keras.layers.Conv2D(
            8,
            3,
            dtype=dtype,
            kernel_initializer=keras.initializers.HeNormal(seed=0),
            kernel_regularizer=OrthogonalConv(0.5),
        )
        layer(np.zeros((1, 8, 8, 4)))
        losses.append(layer.losses[0])
    assert [keras.backend.standardize_dtype(loss.dtype) for loss in losses] == ["float32"] * 2
    assert float(losses[0]) == float(losses[1]) > 0.0


def test_the_regulariser_is_its_factor_times_the_penalty():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype("float32")
    regulariser = OrthogonalConv(0.25, (2, 1), "exact", "convolution", groups=2)
    penalty = float(orthogonality_penalty(kernel, (2, 1), "exact", "convolution", groups=2))
    assert float(regulariser.penalty(kernel)) == penalty
    np.testing.assert_allclose(float(regulariser(kernel)), 0.25 * penalty, rtol=1e-6)


def test_the_regulariser_is_saved_and_restored():
    regulariser = OrthogonalConv(0.25, (2, 1), "exact", "convolution", groups=2)
    record = keras.saving.serialize_keras_object(regulariser)
    assert record["registered_name"] == "isozoo>OrthogonalConv"
    text = json.dumps(record)
    twin = keras.saving.deserialize_keras_object(json.loads(text))
    assert json.dumps(keras.saving.serialize_keras_object(twin)) == text


def test_gradient_descent_on_the_penalty_reaches_an_isometry():
    kernel = keras.Variable(np.random.default_rng(0).normal(size=(3, 3, 4, 8)) / 6)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(150):
        found = gradients(lambda k: orthogonality_penalty(k, method="convolution"), kernel)
        optimizer.apply([tf.constant(found[0])], [kernel])
    assert float(orthogonality_penalty(kernel)) < 1e-4
    singular = np.linalg.svd(np.fft.fft2(numpy(kernel), (8, 8), axes=(0, 1)), compute_uv=False)
    np.testing.assert_allclose(singular, 1.0, atol=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"condition": "true"}, "unknown condition 'true'; known: paper, exact"),
        ({"method": "loop"}, "unknown method 'loop'; known: gram, fourier, convolution"),
        ({"strides": 0}, r"strides must be at least 1, got \(0, 0\)"),
        ({"strides": (2, -1)}, r"strides must be at least 1, got \(2, -1\)"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        orthogonality_penalty(np.ones((3, 3, 4, 4)), **options)
    with pytest.raises(ValueError, match=message):
        OrthogonalConv(**options)


def test_a_negative_factor_is_refused():
    with pytest.raises(ValueError, match=r"factor must be at least 0, got -0\.1"):
        OrthogonalConv(-0.1)


def test_groups_must_divide_the_filters():
    with pytest.raises(ValueError, match="3 groups do not divide 8 filters"):
        orthogonality_penalty(np.ones((3, 3, 4, 8)), groups=3)


def test_kernels_of_other_ranks_are_refused():
    with pytest.raises(
        ValueError, match=r"\(height, width, channels, filters\); got shape \(3, 4\)"
    ):
        orthogonality_penalty(np.ones((3, 4)))


@pytest.mark.parametrize(
    ("shape", "constrained"),
    [((3, 3, 16, 16), True), ((7, 7, 64, 64), False), ((1, 1, 64, 8), True), ((3, 3, 3, 9), False)],
)
def test_large_kernels_and_kernels_on_images_are_not_constrained(shape, constrained):
    layer = keras.layers.Conv2D(shape[3], shape[:2])
    layer.build((None, 8, 8, shape[2]))
    assert is_constrained(layer) is constrained


@pytest.mark.parametrize("name", ["r-isonet-8", "resnet-8", "r-isonet-18-w32"])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_the_first_convolution_is_not_constrained_on_any_number_of_channels(name, channels):
    backbone = Backbone(architecture(name, channels=channels, width=2))
    found = convolutions(backbone)
    assert [layer.name for layer in found if not is_constrained(layer)] == ["stem_conv"]
    penalised = [layer for layer in found if layer.kernel_regularizer is not None]
    assert penalised == (found[1:] if "isonet" in name else [])


def test_the_penalty_of_a_model_is_the_sum_over_its_constrained_convolutions():
    inner = keras.Sequential([keras.Input((14, 14, 6)), keras.layers.Conv2D(4, 3, strides=2)])
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, name="on_the_image")(inputs)
    x = keras.layers.Conv2D(8, 7, padding="same", name="seven_by_seven")(x)
    x = keras.layers.DepthwiseConv2D(3)(x)
    x = keras.layers.Conv2D(8, 3, groups=2, padding="same")(x)
    x = inner(keras.layers.Conv2DTranspose(6, 3)(x))
    model = keras.Model(inputs, x)
    names = ["on_the_image", "seven_by_seven"]
    found = convolutions(model)
    assert [layer.name for layer in found[:2]] == names
    assert len(found) == 4
    grouped, strided = found[2:]
    assert strided is inner.layers[0]
    for condition in CONDITIONS:
        parts = np.split(numpy(grouped.kernel), 2, axis=-1)
        expected = sum(float(orthogonality_penalty(part, 1, condition)) for part in parts)
        expected += float(orthogonality_penalty(strided.kernel, 2, condition))
        np.testing.assert_allclose(float(model_penalty(model, condition)), expected, rtol=1e-5)


def test_a_model_without_convolutions_has_no_penalty():
    assert float(model_penalty(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))) == 0.0


def test_the_penalty_of_delta_kernels_in_a_model_is_zero():
    layer = keras.layers.Conv2D(8, 3, strides=2, kernel_initializer=Delta())
    assert float(model_penalty(keras.Sequential([keras.Input((8, 8, 4)), layer]))) == 0.0
