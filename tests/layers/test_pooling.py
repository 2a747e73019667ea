"""The max-pool against its definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from isozoo.layers import SymmetricMaxPooling2D
from tests.harness import PROPERTY, numpy


@PROPERTY
@given(
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    pool=st.integers(1, 4),
    strides=st.integers(1, 3),
    data=st.data(),
)
def test_every_output_is_the_maximum_of_the_pixels_inside_its_window(size, pool, strides, data):
    padding = data.draw(st.integers(0, pool // 2))
    # Negative values: a padding with zeros would win over all of them.
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32") - 10.0
    found = numpy(SymmetricMaxPooling2D(pool, strides, padding)(x))
    rows, columns = ((length + 2 * padding - pool) // strides + 1 for length in size)
    assert found.shape == (2, rows, columns, 3)
    for i in range(rows):
        for j in range(columns):
            top, left = i * strides - padding, j * strides - padding
            window = x[:, max(top, 0) : top + pool, max(left, 0) : left + pool]
            np.testing.assert_array_equal(found[:, i, j], window.max((1, 2)))
