"""The orthogonality penalty of all kernels of a network, and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from isozoo.benchmark.measures import Task
from isozoo.benchmark.work import networks
from isozoo.benchmark.worker import Work
from isozoo.regularizers import convolutions, is_constrained, model_penalty

Function = Callable[[], Any]


def own(task: Task) -> Work:
    """Prepare a network of isozoo, with kernels at random."""
    asked = task.contender.preparation
    model = networks.randomised(networks.classifier(task, dropout=0.0))
    kernels = [layer.kernel for layer in convolutions(model) if is_constrained(layer)]
    seed = keras.random.SeedGenerator(0)  # of estimates: JAX takes no random state from Keras
    compute = GRADIENTS[keras.backend.backend()](
        lambda: model_penalty(model, method=asked.method, seed=seed), kernels, asked.jit_compile
    )

    def repeat() -> float:
        value, gradients = compute()
        keras.ops.convert_to_numpy(gradients[-1])  # waits for the device
        return float(value)

    return Work(repeat)


def _tensorflow(function: Function, variables: list[keras.Variable], jit: bool) -> Function:
    import tensorflow as tf

    sources = [variable.value for variable in variables]

    @tf.function(autograph=False, jit_compile=jit)
    def compute():
        with tf.GradientTape() as tape:
            value = function()
        return value, tape.gradient(value, sources)

    return compute


def _jax(function: Function, variables: list[keras.Variable], jit: bool) -> Function:
    import jax  # pyright: ignore[reportMissingImports]

    def pure(values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function()

    # JAX compiles whatever is asked: it has no other way to compute a graph.
    compute = jax.jit(jax.value_and_grad(pure))
    values = [variable.value for variable in variables]
    return lambda: compute(values)


def _torch(function: Function, variables: list[keras.Variable], jit: bool) -> Function:
    import torch  # pyright: ignore[reportMissingImports]

    sources = [variable.value for variable in variables]

    def compute():
        value = function()
        return value.detach(), torch.autograd.grad(value, sources)

    return compute


#: How a function's value and its gradient are computed, compiled where the backend compiles.
GRADIENTS: dict[str, Callable[[Function, list[keras.Variable], bool], Function]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}
