"""The training step: forward, loss with the penalty, backward, update."""

from __future__ import annotations

from typing import Any

import numpy as np

from isozoo.benchmark.measures import Task
from isozoo.benchmark.work import networks
from isozoo.benchmark.work.inference import images
from isozoo.benchmark.worker import Work
from isozoo.regularizers import convolutions, set_penalty
from isozoo.training.recipe import Recipe
from isozoo.training.setup import compile_classifier


def own(task: Task) -> Work:
    """Prepare a network of isozoo."""
    asked, model = task.contender.preparation, networks.classifier(task)
    if asked.method is not None:
        set_penalty(model, method=asked.method, seed=0)
    if not asked.penalty:
        for layer in convolutions(model):
            layer.kernel.regularizer = None
    return _steps(task, model)


def application(task: Task) -> Work:
    """Prepare a network of `keras.applications`."""
    return _steps(task, networks.application(task))


def _steps(task: Task, model: Any) -> Work:
    """Compile as `isozoo train` does, and step on one batch of random numbers."""
    asked = task.contender.preparation
    recipe = Recipe.from_dict(
        {
            "tag": "benchmark",
            "model": {"name": "r-isonet-18", "dtype": asked.dtype},
            "jit_compile": asked.jit_compile,
            # So small that values which never were trained stay finite; it costs no time.
            "optimizer": {"learning_rate": 1e-5},
            "schedule": {"name": "constant"},
            "phases": [{"epochs": 1, "size": model.input_shape[1]}],
        }
    )
    compile_classifier(model, recipe, steps_per_epoch=1)
    batch = images(task, model.input_shape[1])
    labels = np.random.default_rng(2).integers(model.output_shape[-1], size=len(batch))
    # Returns the loss as a number, which waits for the whole step.
    return Work(lambda: model.train_on_batch(batch, labels), len(batch), model.input_shape[1])
