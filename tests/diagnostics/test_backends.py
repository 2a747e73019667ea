"""What is measured is the same on all backends; the `compute.py` of each room measures."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.multibackend


#: Largest difference of a number, relative and absolute, by room.
TOLERANCES = {"isometry": 2e-5, "propagation": 2e-4, "pruning": 2e-4}


@pytest.mark.parametrize("room", TOLERANCES)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_numbers_are_the_same(room, backend, root, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    module = f"tests.diagnostics.{room}.compute"
    path = tmp_path / "numbers.json"
    subprocess.run(
        [sys.executable, "-m", module, str(path)],
        cwd=root,
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
    found = json.loads(path.read_text("utf-8"))
    expected = importlib.import_module(module).numbers()
    assert list(found) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(
            found[key], values, rtol=TOLERANCES[room], atol=TOLERANCES[room], err_msg=key
        )


#: Walks in training mode, with dropout that has no seed, and draws between two steps.
WALK = """
import keras, numpy as np, torch
from isozoo.diagnostics import stream
from isozoo.diagnostics.surface import LossSurface

model = keras.Sequential([keras.Input((50,)), *(keras.layers.Dropout(0.5) for _ in range(2))])
x = np.ones((2, 50), "float32")
torch.manual_seed(3)
expected = [torch.rand(()).item() for _ in range(3)]
torch.manual_seed(3)
found, walked = [], []
for _, _, output in stream(model, x, training=True):
    walked.append(keras.ops.convert_to_numpy(output))
    found.append(torch.rand(()).item())
LossSurface(model, x, x, loss=lambda y, z: y - z, training=True).loss([])
found.append(torch.rand(()).item())
assert found == expected, (found, expected)
# The second layer drops other numbers than the first.
assert ((walked[1] == 0) & (walked[0] != 0)).any()
"""


def test_a_walk_leaves_the_random_state_of_pytorch(root):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-c", WALK], cwd=root, env=environment, check=True)
