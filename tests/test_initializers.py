"""Initialisers: isometries at the start, and Fixup's standard deviation."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.initializers import Delta, DeltaOrthogonal, FixupNormal, Orthogonal
from isozoo.regularizers import orthogonality_penalty
from tests.harness import PROPERTY, numpy

SIDES = st.integers(1, 5)


def circular_convolution(x: np.ndarray, kernel) -> np.ndarray:
    """Convolve images `(batch, height, width, channels)` whose opposite edges are joined."""
    kh, kw = kernel.shape[:2]
    rows, columns = np.arange(x.shape[1] + kh - 1), np.arange(x.shape[2] + kw - 1)
    wrapped = x[:, rows % x.shape[1]][:, :, columns % x.shape[2]]
    return numpy(keras.ops.conv(wrapped, kernel, padding="valid", data_format="channels_last"))


@PROPERTY
@given(
    initializer=st.sampled_from([Delta(), DeltaOrthogonal(seed=1)]),
    side=st.tuples(SIDES, SIDES),
    channels=st.tuples(st.integers(1, 8), st.integers(1, 8)).map(sorted),
    seed=st.integers(0, 99),
)
def test_with_no_fewer_filters_than_channels_norms_are_kept(initializer, side, channels, seed):
    x = np.random.default_rng(seed).normal(size=(3, 6, 7, channels[0]))
    y = circular_convolution(x, initializer((*side, *channels), dtype="float64"))
    norms = [np.linalg.norm(z.reshape(3, -1), axis=1) for z in (x, y)]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-6)


@PROPERTY
@given(
    side=st.tuples(SIDES, SIDES),
    channels=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_the_paper_penalty_of_delta_kernels_is_zero(side, channels, strides):
    kernel = Delta()((*side, *channels))
    assert float(orthogonality_penalty(kernel, strides)) == 0.0
    # The exact condition counts what no convolution with one tap can reach: one half for each
    # direction that its small side has beyond the channels that are copied.
    missing = min(channels[0] * strides[0] * strides[1], channels[1]) - min(channels)
    # The copied tap need not be the centre of its phase: equal to rounding only.
    exact = float(orthogonality_penalty(kernel, strides, "exact"))
    assert exact == pytest.approx(missing / 2, rel=1e-6, abs=1e-9)


@PROPERTY
@given(side=st.lists(SIDES, min_size=1, max_size=3), inputs=SIDES, outputs=SIDES)
def test_delta_copies_channel_i_to_channel_i_at_the_centre(side, inputs, outputs):
    expected = np.zeros((*side, inputs, outputs), "float32")
    for i in range(min(inputs, outputs)):
        expected[(*(size // 2 for size in side), i, i)] = 2.5
    np.testing.assert_array_equal(numpy(Delta(gain=2.5)((*side, inputs, outputs))), expected)


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (8, 3), (5, 5)])
def test_delta_orthogonal_has_orthonormal_rows_or_columns_at_the_centre(inputs, outputs):
    kernel = numpy(DeltaOrthogonal(gain=2.0, seed=0)((3, 3, inputs, outputs)))
    matrix = kernel[1, 1] if inputs <= outputs else kernel[1, 1].T
    np.testing.assert_allclose(matrix @ matrix.T, 4.0 * np.eye(min(inputs, outputs)), atol=1e-5)
    kernel[1, 1] = 0.0
    assert not kernel.any()


@PROPERTY
@given(side=SIDES, inputs=st.integers(1, 8), outputs=st.integers(1, 8), gain=st.floats(0.5, 2))
def test_orthogonal_kernels_are_orthogonal_matrices(side, inputs, outputs, gain):
    kernel = numpy(Orthogonal(gain=gain, seed=0)((side, side, inputs, outputs)))
    matrix = kernel.reshape(-1, outputs)
    gram = matrix.T @ matrix if matrix.shape[0] >= outputs else matrix @ matrix.T
    np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-5)


@PROPERTY
@given(pieces=st.integers(1, 3), inputs=SIDES, channels=SIDES)
def test_delta_starts_the_first_of_several_pieces(pieces, inputs, channels):
    kernel = numpy(Delta(pieces=pieces)((3, 3, inputs, channels * pieces)))
    by_piece = kernel.reshape(3, 3, inputs, channels, pieces)
    np.testing.assert_array_equal(by_piece[..., 0], numpy(Delta()((3, 3, inputs, channels))))
    assert not by_piece[..., 1:].any()


@pytest.mark.parametrize(("blocks", "layers", "power"), [(8, 2, -1 / 2), (16, 3, -1 / 4)])
def test_fixup_scales_he_by_a_power_of_the_number_of_blocks(blocks, layers, power):
    kernel = numpy(FixupNormal(blocks, layers, seed=0)((3, 3, 64, 128)))
    expected = (2 / (9 * 128)) ** 0.5 * blocks**power
    assert abs(kernel.std() / expected - 1) < 0.01
    assert abs(kernel.mean()) < 0.01 * expected
    # A truncated normal would have nothing beyond two deviations, where a normal has 4.6 %.
    assert abs((np.abs(kernel) > 2 * expected).mean() - 0.0455) < 0.005


@pytest.mark.parametrize("make", [DeltaOrthogonal, lambda seed: FixupNormal(4, 2, seed=seed)])
def test_the_seed_decides_the_numbers(make):
    first, again, other = (numpy(make(seed=seed)((1, 1, 4, 4))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    "initializer", [Delta(0.5), DeltaOrthogonal(2.0, seed=3), FixupNormal(8, 3, seed=4)]
)
def test_initialisers_are_saved_and_restored(initializer):
    record = keras.saving.serialize_keras_object(initializer)
    assert record["registered_name"] == f"isozoo>{type(initializer).__name__}"
    twin = keras.saving.deserialize_keras_object(record)
    assert twin.get_config() == initializer.get_config()
    shape = (3, 3, 4, 4)
    np.testing.assert_array_equal(numpy(twin(shape)), numpy(initializer(shape)))


@pytest.mark.parametrize("initializer", [Delta(), DeltaOrthogonal(seed=0), FixupNormal(4, 2)])
@pytest.mark.parametrize("dtype", [None, "float64", "bfloat16"])
def test_kernels_have_the_dtype_that_was_asked_for(initializer, dtype):
    kernel = initializer((3, 3, 4, 4), dtype=dtype)
    assert keras.backend.standardize_dtype(kernel.dtype) == (dtype or "float32")


@pytest.mark.parametrize("initializer", [Delta(), DeltaOrthogonal()])
def test_matrices_are_refused(initializer):
    name = type(initializer).__name__
    with pytest.raises(ValueError, match=rf"{name} initialises convolution kernels .* \(3, 4\)"):
        initializer((3, 4))


@pytest.mark.parametrize(("blocks", "layers"), [(0, 2), (4, 1)])
def test_fixup_refuses_branches_that_do_not_exist(blocks, layers):
    with pytest.raises(ValueError, match=f"got blocks={blocks} and branch_layers={layers}"):
        FixupNormal(blocks, layers)
