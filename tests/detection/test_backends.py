"""The same pictures and weights give the same detections on TensorFlow, JAX and PyTorch."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.multibackend


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_detections_are_the_same(backend, root, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subprocess.run(
        [sys.executable, "-m", "tests.detection.compute", tmp_path / "found.npz"],
        cwd=root,
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
    with (
        np.load(tmp_path / "found.npz") as found,
        np.load(root / "tests" / "golden" / "detection.npz") as golden,
    ):
        assert golden["valid"].sum() >= 10
        for name in golden.files:
            np.testing.assert_allclose(
                found[name], golden[name], rtol=1e-4, atol=1e-4, err_msg=name
            )
