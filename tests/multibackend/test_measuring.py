"""Smoothness, covariate shift and landscapes are the same numbers on every backend.

Each backend measures in its own process and is compared with `tests/golden/measuring.npz`, which
TensorFlow wrote.
"""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.multibackend

BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture(scope="module", params=BACKENDS)
def numbers(request, root, tmp_path_factory):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    path = tmp_path_factory.mktemp("backends") / f"{request.param}.npz"
    subprocess.run(
        [sys.executable, "-m", "tests.multibackend.measuring", str(path)],
        cwd=root,
        env={**os.environ, "KERAS_BACKEND": request.param},
        check=True,
    )
    with np.load(path) as stored:
        return dict(stored)


def test_the_numbers_are_the_same(numbers, root):
    with np.load(root / "tests" / "golden" / "measuring.npz") as stored:
        golden = dict(stored)
    assert [*golden, "steady"] == list(numbers)
    for key, expected in golden.items():
        # Differences of gradients that are nearly equal keep fewer digits.
        np.testing.assert_allclose(numbers[key], expected, rtol=1e-3, atol=1e-5, err_msg=key)


def test_training_is_the_same_to_the_bit_whether_anybody_measures(numbers):
    assert len(numbers["alike"]) > 10
    assert numbers["alike"].all()


def test_the_same_weights_have_the_same_loss_with_dropout(numbers):
    first, again, with_gradient = numbers["steady"]
    assert again == first
    assert with_gradient == pytest.approx(first, rel=1e-5)
