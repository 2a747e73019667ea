"""Training from data to weights where there is no TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.multibackend


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_run_stopped_within_epochs_gives_the_weights_of_one_that_was_not(root, tmp_path, backend):
    if importlib.util.find_spec("tensorflow") is not None:
        pytest.skip("TensorFlow is installed; this is for an environment without it")
    for name in (backend, "tensorflow_datasets"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.multibackend.without_tensorflow", str(tmp_path)],
        cwd=root,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["classes"] == ["red", "green", "blue"]
    assert [" ".join(text.split()[4:9]).rstrip(";") for text in found["stopped"]] == [
        "epoch 2, step 2; everything",
        "epoch 3, step 1; everything",
    ]
    assert found["same_log"]
    assert found["difference"] == 0
    assert found["metrics"]["images"] == 12
