"""Filters, spectra and pruned networks are the same on TensorFlow, JAX and PyTorch."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.multibackend


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_numbers_are_the_same(backend, root, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    from tests.diagnostics.pruning.compute import numbers

    path = tmp_path / "numbers.json"
    subprocess.run(
        [sys.executable, "-m", "tests.diagnostics.pruning.compute", str(path)],
        cwd=root,
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
    found, expected = json.loads(path.read_text("utf-8")), numbers()
    assert list(found) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=2e-4, atol=2e-4, err_msg=key)
