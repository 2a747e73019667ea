"""Inference: from one batch of preprocessed images to logits on the host."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from isozoo.benchmark.measures import Task
from isozoo.benchmark.worker import Work
from isozoo.errors import BenchmarkError


def own(task: Task) -> Work:
    """Prepare a network of isozoo, in Keras or in another runtime."""
    if task.contender.preparation.runtime != "keras":
        return _exported(task)
    from isozoo.benchmark.work import networks

    model = networks.classifier(task)
    return _keras(task, model.fuse() if task.contender.preparation.fused else model)


def application(task: Task) -> Work:
    """Prepare a network of `keras.applications`."""
    from isozoo.benchmark.work import networks

    return _keras(task, networks.application(task))


def images(task: Task, side: int) -> np.ndarray:
    """Return a batch of random numbers, float32 `(batch, height, width, channels)`."""
    shape = (task.settings.batch_size, side, side, 3)
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def _keras(task: Task, model: Any) -> Work:
    batch = images(task, model.input_shape[1])
    if task.contender.preparation.jit_compile:
        model.compile(jit_compile=True)
    # Returns NumPy arrays, which waits for whatever device computed them.
    return Work(lambda: model.predict_on_batch(batch), len(batch))


def _exported(task: Task) -> Work:
    """Export in a process that ends, so that its memory and threads are not the runtime's."""
    from isozoo.export import load_exported

    folder = tempfile.TemporaryDirectory()
    command = [sys.executable, "-m", "isozoo.benchmark.work.exporting", folder.name]
    done = subprocess.run(
        command, input=json.dumps(task.to_json()), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"export failed: {' | '.join(done.stderr.splitlines()[-3:])}")
    network = load_exported(Path(folder.name) / "exported")
    batch = images(task, network.image_shape[0])

    def repeat() -> np.ndarray:
        assert folder  # kept until the process ends: runtimes read their weights from it
        return np.asarray(network(batch))

    return Work(repeat, len(batch))
