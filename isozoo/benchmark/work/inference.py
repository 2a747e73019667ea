"""Inference: from one batch of preprocessed images to logits on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from isozoo.benchmark.machine import device
from isozoo.benchmark.measures import Task
from isozoo.benchmark.worker import Work

#: The exported formats whose runtime takes a GPU that is there; isozoo has the others use the CPU.
ON_GPU = ("saved_model",)


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
    return Work(lambda: model.predict_on_batch(batch), len(batch), model.input_shape[1])


def _exported(task: Task) -> Work:
    from isozoo.benchmark.work.exporting import exported
    from isozoo.export import load_exported

    network = load_exported(exported(task))
    side = network.image_shape[0]
    batch = images(task, side)
    computes_on = device if task.contender.preparation.runtime in ON_GPU else lambda: "cpu"
    return Work(lambda: network(batch), len(batch), side, device=computes_on)
