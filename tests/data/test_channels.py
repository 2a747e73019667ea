"""What becomes of a kernel on images when their channels change in number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.data.channels import adapted_kernel, shared_channels
from tests.harness import PROPERTY

numbers = st.integers(1, 12)


@PROPERTY
@given(numbers, numbers)
def test_every_channel_stands_for_some_and_is_stood_for(old, new):
    shared = shared_channels(old, new)
    assert shared.shape == (old, new)
    assert set(np.unique(shared)) <= {0.0, 1.0}
    assert shared.any(axis=0).all()
    assert shared.any(axis=1).all()
    # None stands for two while another is used twice: as even as can be.
    assert np.ptp(shared.sum(axis=0)) <= 1
    assert np.ptp(shared.sum(axis=1)) <= 1


@PROPERTY
@given(numbers, numbers)
def test_equal_channels_are_answered_as_before(old, new):
    kernel = np.random.default_rng(old + 100 * new).normal(size=(3, 3, old, 4))
    adapted = adapted_kernel(kernel, new)
    assert adapted.shape == (3, 3, new, 4)
    np.testing.assert_allclose(adapted.sum(axis=2), kernel.sum(axis=2), rtol=1e-12, atol=1e-12)


def test_the_usual_cases():
    red, green, blue = np.random.default_rng(0).normal(size=(3, 7, 7, 64)).astype("float32")
    kernel = np.stack([red, green, blue], axis=2)
    assert adapted_kernel(kernel, 1).dtype == "float32"
    np.testing.assert_allclose(adapted_kernel(kernel, 1)[:, :, 0], red + green + blue, atol=1e-6)
    np.testing.assert_array_equal(adapted_kernel(kernel, 3), kernel)
    four = np.stack([red / 2, green, blue, red / 2], axis=2)
    np.testing.assert_array_equal(adapted_kernel(kernel, 4), four)
    # Twice the channels: timm's rule, repeated and multiplied by 3 / 6.
    np.testing.assert_array_equal(adapted_kernel(kernel, 6), np.tile(kernel, (1, 1, 2, 1)) / 2)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 0), (3, -1)])
def test_no_channels_are_refused(old, new):
    with pytest.raises(ValueError, match=f"channels must be at least 1, got {old} and {new}"):
        shared_channels(old, new)
