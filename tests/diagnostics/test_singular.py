"""The singular values of convolutions are those of the dense operator."""

import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.diagnostics.singular import Convolution


def dense(conv: Convolution) -> np.ndarray:
    """Return the operator as a matrix, by the definition."""
    (height, width), (sh, sw), (dh, dw) = conv.size, conv.strides, conv.dilation
    kh, kw, channels, filters = conv.kernel.shape
    own = filters // conv.groups
    shape = (height // sh, width // sw, filters, height, width, channels * conv.groups)
    matrix = np.zeros(shape)
    for y, x, t, s, o in np.ndindex(height // sh, width // sw, kh, kw, filters):
        first = o // own * channels
        row, column = (sh * y + dh * t) % height, (sw * x + dw * s) % width
        matrix[y, x, o, row, column, first : first + channels] += conv.kernel[t, s, :, o]
    return matrix.reshape(conv.outputs, conv.inputs)


@st.composite
def convolutions(draw):
    def pair(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    strides, groups = pair(1, 3), draw(st.integers(1, 3))
    size = tuple(s * n for s, n in zip(strides, pair(1, 3), strict=True))
    shape = (*pair(1, 4), draw(st.integers(1, 3)), groups * draw(st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Convolution(rng.standard_normal(shape), size, strides, pair(1, 3), groups)


@settings(max_examples=150, deadline=None)
@given(convolutions(), st.sampled_from([1, 2**20]))
def test_singular_values_and_distances_are_those_of_the_dense_matrix(conv, chunk_bytes):
    matrix = dense(conv)
    values = conv.singular_values(chunk_bytes)
    expected = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-10)
    for found, product in (
        (conv.distance(values), matrix.T @ matrix),
        (conv.adjoint_distance(values), matrix @ matrix.T),
    ):
        excess = product - np.eye(len(product))
        assert found.spectral == pytest.approx(np.linalg.norm(excess, 2), abs=1e-9)
        frobenius = np.linalg.norm(excess) / np.sqrt(len(product))
        assert found.frobenius == pytest.approx(frobenius, abs=1e-9)
    smaller = conv.distance if conv.inputs <= conv.outputs else conv.adjoint_distance
    assert conv.nearest_distance() == smaller()


def test_the_penalty_of_isonet_is_half_the_adjoint_distance_squared():
    # Parseval: over filters, 1/2 sum over lags || G_d - [d = 0] I ||^2 = m / 2 of the mean square.
    from isozoo.regularizers import orthogonality_penalty

    kernel = np.random.default_rng(0).standard_normal((3, 3, 6, 4)).astype("float32") / 5
    for strides in ((1, 1), (2, 2)):
        conv = Convolution(kernel, (10, 10), strides)
        penalty = float(orthogonality_penalty(kernel, strides))
        expected = 0.5 * conv.filters * conv.adjoint_distance().frobenius ** 2
        assert penalty == pytest.approx(expected, rel=1e-5)


def test_fixtures(shared):
    known = json.loads((shared / "fixtures/conv_singular_values.json").read_text())
    values = np.load(shared / "fixtures/conv_singular_values.npz")
    for name, about in known.items():
        seed = np.random.PCG64(zlib.crc32(name.encode()))
        kernel = np.random.Generator(seed).standard_normal(about["kernel_shape_hwio"])
        kernel *= np.sqrt(1 / np.prod(kernel.shape[:3]))
        found = Convolution(kernel, tuple(about["input_size"])).singular_values()
        assert len(found) == about["count"]
        np.testing.assert_allclose(found, values[name], rtol=0, atol=1e-10)


def test_a_kernel_of_one_tap_is_decomposed_once(monkeypatch):
    calls = []
    svd = np.linalg.svd

    def counted(matrices, **options):
        calls.append(matrices.shape)
        return svd(matrices, **options)

    monkeypatch.setattr(np.linalg, "svd", counted)
    kernel = np.random.default_rng(0).standard_normal((1, 1, 3, 5))
    assert len(Convolution(kernel, (64, 64)).singular_values()) == 64 * 64 * 3
    assert calls == [(1, 1, 3, 5)]


def test_memory_is_bounded_by_the_chunk(monkeypatch):
    largest = []
    svd = np.linalg.svd

    def measured(matrices, **options):
        largest.append(matrices.nbytes)
        return svd(matrices, **options)

    monkeypatch.setattr(np.linalg, "svd", measured)
    conv = Convolution(np.random.default_rng(0).standard_normal((3, 3, 4, 4)), (16, 16))
    conv.singular_values(chunk_bytes=1024)
    assert max(largest) <= 1024 < sum(largest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": np.ones((3, 3))}, "got the shape"),
        ({"size": (0, 4)}, "size must be two numbers of at least 1"),
        ({"strides": (2, 3)}, r"\(2, 3\) does not divide \(4, 4\)"),
        ({"groups": 2}, "2 groups do not divide 3 filters"),
        ({"dilation": (1,)}, "dilation must be two numbers"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Convolution(**{"kernel": np.ones((3, 3, 2, 3)), "size": (4, 4), **arguments})
