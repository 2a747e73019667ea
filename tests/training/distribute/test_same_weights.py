"""Eight steps on several replicas or workers are those of one device; see `compute.py`."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from isozoo.cluster.local import environments
from tests.training.distribute.compute import NETWORKS

ROOT = Path(__file__).parents[3]


class Computation:
    """A process that runs `compute.py`."""

    def __init__(self, strategies: str, folder: Path, number: int = 0, **variables: str):
        self.target = folder / f"{strategies}-{number}.npz"
        command = [
            sys.executable,
            "-m",
            "tests.training.distribute.compute",
            strategies,
            self.target,
        ]
        self.process = subprocess.Popen(
            [*command, folder],
            cwd=ROOT,
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self) -> Mapping[str, np.ndarray]:
        """Wait for what it has computed."""
        _, errors = self.process.communicate(timeout=3600)
        assert self.process.returncode == 0, errors[-3000:]
        with np.load(self.target) as stored:
            return {key: stored[key] for key in stored.files}


def assert_same(
    found: Mapping[str, np.ndarray],
    strategy: str,
    expected: Mapping,
    networks: Sequence[str] = tuple(NETWORKS),
) -> None:
    """Check that weights, training and validation are those of one device."""
    for name in networks:
        keys = [key for key in expected if key.startswith(f"{name}/one/")]
        assert len(keys) > 20
        if NETWORKS[name][1]:
            # Penalties drawn for each batch of the validation, whose last one is filled up.
            keys.remove(f"{name}/one/val_loss")
        for key in keys:
            other = found[key.replace("/one/", f"/{strategy}/")]
            np.testing.assert_allclose(other, expected[key], rtol=0, atol=1e-6, err_msg=key)
        worst = max(
            np.abs(found[key.replace("/one/", f"/{strategy}/")] - expected[key]).max()
            for key in keys
            if "/weight" in key
        )
        print(f"{strategy}, {name}: weights differ by {worst:.1e} at most")


@pytest.mark.slow
def test_tensorflow(tmp_path):
    first = Computation("one,mirrored", tmp_path)
    workers = [
        Computation("multiworker", tmp_path, number, **variables)
        for number, variables in enumerate(environments(2))
    ]
    expected = first.result()
    assert_same(expected, "mirrored", expected)
    for between in ("one then mirrored", "mirrored then one"):
        assert_same(expected, between, expected, ["resnet-8"])
    for worker in workers:
        assert_same(worker.result(), "multiworker", expected)


@pytest.mark.multibackend
def test_jax(tmp_path):
    pytest.importorskip("jax")
    jax = {"KERAS_BACKEND": "jax"}
    halves = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    (tmp_path / "workers").mkdir()
    first = Computation("one", tmp_path, **jax)
    both = Computation("data-parallel", tmp_path, 2, **jax, **halves)
    workers = [
        Computation("data-parallel", tmp_path / "workers", number, **jax, **variables)
        for number, variables in enumerate(environments(2))
    ]
    expected = first.result()
    assert_same(both.result(), "data-parallel", expected)
    for worker in workers:
        assert_same(worker.result(), "data-parallel", expected)
