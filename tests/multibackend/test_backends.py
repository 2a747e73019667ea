"""TensorFlow, JAX and PyTorch give the same numbers.

Each backend computes in its own process and is compared with `tests/golden/backends.npz`, which
TensorFlow wrote: so a machine with only one of them says something too.
"""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.multibackend

BACKENDS = ("tensorflow", "jax", "torch")
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=BACKENDS)
def numbers(request, root, tmp_path_factory):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    path = tmp_path_factory.mktemp("backends") / f"{request.param}.npz"
    subprocess.run(
        [sys.executable, "-m", "tests.multibackend.compute", str(path)],
        cwd=root,
        env={**os.environ, "KERAS_BACKEND": request.param},
        check=True,
    )
    with np.load(path) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def golden(root):
    with np.load(root / "tests" / "golden" / "backends.npz") as stored:
        return dict(stored)


def test_the_same_things_are_computed(numbers, golden):
    assert list(numbers) == list(golden)


@pytest.mark.parametrize(
    "what", ["kernel", "logits", "penalty", "loss", "accuracy", "gradient", "trained", "state"]
)
def test_the_numbers_are_the_same(numbers, golden, what):
    keys = [key for key in golden if what in key.split()]
    assert keys
    for key in keys:
        np.testing.assert_allclose(
            numbers[key], golden[key], rtol=TOLERANCE, atol=TOLERANCE, err_msg=key
        )


def test_the_penalty_is_computed_in_the_precision_of_the_kernel(numbers):
    kernel, *penalties = numbers["dtypes"]  # JAX makes float32 of float64, unless told otherwise
    assert penalties == [kernel] * len(penalties)


def test_both_methods_of_the_penalty_agree(numbers):
    for key in [key for key in numbers if " gram " in key]:
        other = numbers[key.replace(" gram ", " convolution ")]
        np.testing.assert_allclose(numbers[key], other, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_step_moved_every_network(golden):
    moved = [key for key in golden if " gradient " in key and not key.startswith("kernel")]
    assert moved
    assert all(np.abs(golden[key]).max() > 0 for key in moved)
