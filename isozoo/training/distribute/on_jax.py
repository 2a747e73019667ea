"""Data parallel training on JAX: one program over all devices, of one process or of several.

A global batch is one array whose rows lie on several devices, so batch statistics, losses and
clipping are those of one device by themselves, and so is dropout.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from isozoo.training.distribute import StrategyError, WorkerLostError
from isozoo.training.distribute.strategy import Strategy

#: Seconds without a sign of life after which a process is taken for dead.
HEARTBEAT_SECONDS = 10

#: Environment variables that say what JAX's own detection (Slurm, MPI, TPU) would.
EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

#: Seconds that a process which ends well waits for the others to do so.
SHUTDOWN_SECONDS = 30

# What is said where a peer has gone, by JAX's own kind of error or by a plain ValueError.
_LOST = (
    "UNAVAILABLE: ",
    "ABORTED: ",
    "DEADLINE_EXCEEDED: ",
    "Connection closed by peer",
    "Connection reset by peer",
    "stopped sending heartbeats",
    "heartbeat timeout",
    "remote process exited",
)
# What it says where neither variables nor a scheduler tell of other processes.
_ALONE = "coordinator_address should be defined"


class JaxStrategy(Strategy):
    """All devices of all processes, through `keras.distribution.DataParallel`."""

    def __init__(self) -> None:
        import jax  # pyright: ignore[reportMissingImports]

        devices = keras.distribution.list_devices()
        super().__init__("data-parallel", len(devices), jax.process_count(), jax.process_index())
        # Each process is handed its own rows; Keras would deal them out once more.
        self._distribution = keras.distribution.DataParallel(
            devices=devices, auto_shard_dataset=False
        )

    def scope(self) -> AbstractContextManager[Any]:
        """Return the distribution's scope."""
        return self._distribution.scope()

    def fitting(self) -> AbstractContextManager[Any]:
        """Return the distribution's scope."""
        return self._distribution.scope()

    @contextlib.contextmanager
    def _outside(self) -> Iterator[None]:
        """Leave the distribution: to give a variable its value in it takes all processes.

        Keras makes a variable as it writes a file of weights.
        """
        within = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(within)

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn errors of collective operations into one that says what to do."""
        import jax  # pyright: ignore[reportMissingImports]

        try:
            yield
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            if self.workers == 1 or not any(word in str(error) for word in _LOST):
                raise
            reason = str(error).partition("\n")[0]
            raise WorkerLostError(
                f"worker {self.index} lost another of the {self.workers} ({reason}); start all of "
                "them again with --resume"
            ) from error

    def sum_of(self, function: Callable[[Any], Any], images: Any) -> Any:
        """Call the function once, on the rows of all processes as one array."""
        import jax  # pyright: ignore[reportMissingImports]

        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
        rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
        with self.scope():
            return function(jax.make_array_from_process_local_data(rows, np.asarray(images)))

    def padded(self, batches: Any, batch_size: int, images: int) -> tuple[Any, int | None]:
        """Fill up the last batch with images of no weight, as its rows have to divide."""
        if self.replicas == 1:
            return batches, None
        weight = -(-images // batch_size) * batch_size / images
        return PaddedBatches(batches, batch_size // self.workers, weight), None

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """Sum over the processes."""
        if self.workers == 1:
            return numbers
        from jax.experimental import multihost_utils  # pyright: ignore[reportMissingImports]

        return np.asarray(multihost_utils.process_allgather(numbers)).sum(axis=0)


class PaddedBatches(keras.utils.PyDataset):
    """Batches of one size, with weights that are 0 where there is no image.

    Keras divides the sum of the weighted losses by all rows, so the weights of the others are such
    that their sum is the number of rows.

    Args:
        batches: Images and labels; batches may have fewer rows.
        rows: Rows of each batch.
        weight: Weight of an image.
    """

    def __init__(self, batches: keras.utils.PyDataset, rows: int, weight: float):
        super().__init__()
        self._batches = batches
        self._rows = rows
        self._weight = weight

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return images, labels and weights of a batch."""
        images, labels = self._batches[index]
        real = len(labels)
        below = [(0, self._rows - real)]
        weights = np.where(np.arange(self._rows) < real, self._weight, 0.0).astype("float32")
        return np.pad(images, below + [(0, 0)] * 3), np.pad(labels, below), weights


def data_parallel() -> JaxStrategy:
    """Join the processes that the environment tells of, if it does, and take all their devices.

    Raises:
        StrategyError: The environment tells of processes that cannot be joined.
    """
    import jax  # pyright: ignore[reportMissingImports]

    if not jax.distributed.is_initialized():
        _join()
    return JaxStrategy()


# Once nobody was found, JAX computes, and cannot look for others any more.
@functools.cache
def _join() -> None:
    import jax  # pyright: ignore[reportMissingImports]

    told = [name for name in EXPLICIT if os.environ.get(name)]
    if told and len(told) < len(EXPLICIT):
        raise StrategyError(
            f"'data-parallel' needs all of {', '.join(EXPLICIT)} or none, and only "
            f"{' and '.join(told)} is set"
        )
    address, count, index = (os.environ.get(name) for name in EXPLICIT)
    try:
        jax.distributed.initialize(
            address,
            int(count) if count else None,
            int(index) if index else None,
            # JAX's own patience with the dead is 100 seconds.
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        if not told and _ALONE in str(error):
            return  # one process is all there is
        raise StrategyError(
            f"'data-parallel' cannot join the processes that {', '.join(told) or 'JAX looks for'} "
            f"tell of: {error}; open it before anything is computed, in all of them at once"
        ) from error
