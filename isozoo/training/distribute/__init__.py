"""Training on several devices or machines: what a run has to know of the others that train with it.

A strategy is chosen by name, `train(..., strategy="mirrored")` or `isozoo train --strategy`. It is
no part of the recipe: whatever the strategy, a run with one seed trains on the same batches, and
its weights are those of one device up to rounding (but for dropout, which draws for itself on each
replica of TensorFlow's strategies).

With `multiworker`, and with `data-parallel` on several machines, every process runs the same
command with the same `out`, a folder that all of them see. Starting them, and starting all of them
again when one has died, is the launcher's business: a process whose peer was lost ends with
`WorkerLostError`, the command line with exit code 69.

This module imports neither Keras nor a backend.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from isozoo.errors import IsozooError, unknown

if TYPE_CHECKING:
    from isozoo.training.distribute.strategy import Strategy


class StrategyError(IsozooError, ValueError):
    """A strategy that cannot be had here, or cannot do what a recipe asks."""


class WorkerLostError(IsozooError):
    """Another worker has died or cannot be reached; all have to be started again."""


#: Seconds for which the first of several JAX processes that fails stays, as it carries what the
#: others need to end in their own way.
LINGER = 5.0


class Kind(NamedTuple):
    """A row of `STRATEGIES`.

    Args:
        summary: What it is, in a few words.
        backend: The only Keras backend that has it; None for any.
        opener: Module of this package and function in it that opens it.
    """

    summary: str
    backend: str | None
    opener: tuple[str, str]


#: The strategies.
STRATEGIES: dict[str, Kind] = {
    "one": Kind("one device", None, ("strategy", "Strategy")),
    "mirrored": Kind("all GPUs of one machine", "tensorflow", ("on_tensorflow", "mirrored")),
    "multiworker": Kind(
        "processes on several machines, as TF_CONFIG, Slurm or Kubernetes says",
        "tensorflow",
        ("on_tensorflow", "multiworker"),
    ),
    "tpu": Kind("the cores of a TPU", "tensorflow", ("on_tensorflow", "tpu")),
    "data-parallel": Kind(
        "all devices that JAX sees, of one process or of several",
        "jax",
        ("on_jax", "data_parallel"),
    ),
}


def open_strategy(name: str) -> Strategy:
    """Open a strategy, before anything else is computed: it may have to start a cluster.

    Args:
        name: A key of `STRATEGIES`.

    Raises:
        StrategyError: The backend does not have it, or the environment does not say what the
            cluster is.
        UnknownNameError: There is no such strategy.

    Example:
        >>> strategy = open_strategy("one")
        >>> strategy.replicas, strategy.chief
        (1, True)
    """
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    kind = STRATEGIES[name]
    if kind.backend is not None:
        _check_backend(name, kind.backend)
    module, function = kind.opener
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)()


def _check_backend(name: str, needed: str) -> None:
    import keras

    backend = keras.backend.backend()
    if backend == needed:
        return
    known = [other for other, kind in STRATEGIES.items() if kind.backend in (None, backend)]
    # Keras accepts keras.distribution on other backends too, where nothing stands behind it.
    raise StrategyError(
        f"the strategy '{name}' is for the {needed} backend, and Keras runs on {backend}; set "
        f"KERAS_BACKEND={needed}, or choose {' or '.join(known)}"
    )


def leave(code: int) -> None:
    """End this process here if it failed as one of several of JAX; otherwise do nothing.

    As the interpreter ends, JAX waits for all of the processes, and then aborts this one, whose
    exit code is lost.

    Args:
        code: The exit code.
    """
    jax = sys.modules.get("jax")
    if not code or jax is None or not jax.distributed.is_initialized():
        return
    sys.stdout.flush()
    sys.stderr.flush()
    if jax.process_index() == 0:
        time.sleep(LINGER)
    os._exit(code)
