"""How two workers of JAX end when one of them dies, or fails alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from isozoo.cli import main, train
from isozoo.cluster.local import environments

ROOT = Path(__file__).parents[3]
RECIPE = """
tag = "two"
batch_size = 6
model = { name = "isonet-8" }
preprocessing = { resize = 18, size = 16 }
phases = [{ epochs = 2, size = 16 }]
"""
#: Who survives the chief loses JAX's service too, which may abort it before it can say anything.
ENDS = {0: {train.LOST, -signal.SIGABRT}, 1: {train.LOST}}


@pytest.mark.multibackend
@pytest.mark.parametrize("failing", [1, 0])
@pytest.mark.parametrize(("how", "code"), [("kill", -signal.SIGKILL), ("raise", 2)])
def test_one_of_two_fails(how, code, failing, colours, tmp_path):
    pytest.importorskip("jax")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    command = [sys.executable, "-m", "tests.training.distribute.failing", how, str(failing)]
    command += ["train", tmp_path / "recipe.toml", "--data", colours, "--out", tmp_path / "runs"]
    command += ["--strategy", "data-parallel"]
    workers = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": "jax", **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        for variables in environments(2)
    ]
    try:
        errors = [worker.communicate(timeout=240)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert workers[failing].returncode == code, errors[failing][-2000:]
    found = workers[1 - failing].returncode
    assert found in ENDS[failing], errors[1 - failing][-2000:]
    if found == train.LOST:
        assert f"isozoo: worker {1 - failing} lost another of the 2" in errors[1 - failing]
    if how == "raise":
        assert "isozoo: only here" in errors[failing]


def test_a_process_that_is_not_one_of_several_ends_as_always():
    assert main(["info", "isonet-81"]) == 2
