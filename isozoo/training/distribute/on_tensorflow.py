"""Strategies of `tf.distribute`: several GPUs, several machines, a TPU."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from isozoo.training.distribute import StrategyError, WorkerLostError, keras_faults
from isozoo.training.distribute.cluster import JOBS, find_cluster
from isozoo.training.distribute.strategy import MESSAGE, Strategy
from isozoo.training.distribute.traps import check_compiled, clip_the_sum, synchronize

#: What a collective operation raises when a peer has gone, whatever it says.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
)
#: What it may raise, and other operations too: it has to speak of peers.
_PERHAPS_LOST = (
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
)
_OF_PEERS = (
    "Collective ops is aborted",
    "Connection reset by peer",
    "Socket closed",
    "heartbeat",
    "is unhealthy",
    "are unhealthy",
    "coordination service",
)
# Seconds that a worker stays after the last operation.
_STAY = 2.0
# Far from one another, as the seeds of a network's layers are near.
_STRIDE = 1_000_003


class TensorFlowStrategy(Strategy):
    """Replicas that a strategy of `tf.distribute` keeps equal.

    Args:
        name: Key of `isozoo.training.distribute.STRATEGIES`.
        strategy: The strategy.
        workers: Processes.
        index: This process's number among them.
    """

    def __init__(
        self, name: str, strategy: tf.distribute.Strategy, workers: int = 1, index: int = 0
    ):
        super().__init__(name, strategy.num_replicas_in_sync, workers, index)
        self._strategy = strategy

    @property
    def _local(self) -> int:
        """Replicas of this process."""
        return self.replicas // self.workers

    def scope(self) -> AbstractContextManager[Any]:
        """Return the strategy's scope."""
        return self._strategy.scope()

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn errors of collective operations into one that says what to do.

        Whoever leaves otherwise stays for a moment: the others may still be receiving its part of
        the last operation, and would take it for lost.
        """
        stay = self.workers > 1
        try:
            yield
        except (*_LOST, *_PERHAPS_LOST) as error:
            of_peers = any(words in str(error.message) for words in _OF_PEERS)
            if self.workers == 1 or not (of_peers or isinstance(error, _LOST)):
                raise
            stay = False
            lines = str(error.message).splitlines()
            # In the midst of where in the graph it was.
            reason = next((line for line in lines if "Collective ops" in line), lines[0])
            raise WorkerLostError(
                f"worker {self.index} lost another of the {self.workers} ({reason}); start all of "
                "them again with --resume"
            ) from error
        finally:
            if stay:
                time.sleep(_STAY)

    def check(self, recipe: Any) -> None:
        """Refuse a batch that does not divide, and XLA."""
        super().check(recipe)
        if recipe.jit_compile:
            raise StrategyError(
                f"jit_compile compiles the step of one device, and '{self.name}' has TensorFlow "
                "reduce the gradients in the midst of it; set jit_compile = false"
            )

    def prepare(self, model: keras.Model) -> None:
        """Synchronise batch statistics, clip the sum of the gradients, refuse what differs."""
        if self.replicas > 1:
            check_compiled(model, self.name)
            synchronize(model, self.replicas)
            clip_the_sum(model.optimizer, self.replicas)

    def spread(self, states: Sequence[keras.Variable]) -> None:
        """Move the seeds apart; the first replica keeps its own, which checkpoints hold."""
        for state in states:
            seed, drawn = keras.ops.convert_to_numpy(state).tolist()
            for number, copy in enumerate(self.copies([state]), self.index * self._local):
                copy.assign([seed + number * _STRIDE, drawn])

    def copies(self, variables: Sequence[Any]) -> list[Any]:
        """Return TensorFlow's variables on the devices of this process."""
        held = (self._strategy.experimental_local_results(v.value) for v in variables)
        return [copy for copies in held for copy in copies]

    def sum_of(self, function: Callable[[Any], Any], images: Any) -> Any:
        """Call the function on all replicas at once, in a graph as the step's is."""

        def on_replica(images: Any) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, function(images))

        run = tf.function(lambda images: self._strategy.run(on_replica, args=(images,)))
        return self._strategy.experimental_local_results(run(images))[0]

    def share(self, batches: Any) -> Any:
        """Hand each local replica its part of this worker's rows."""
        rows = batches.element_spec[0].shape[0] // self._local
        return self._distributed(batches.rebatch(rows) if self._local > 1 else batches)

    def padded(self, batches: Any, batch_size: int, images: int) -> tuple[Any, int | None]:
        """Fill up the last batch with images of no weight, since no replica can do without any.

        Keras divides the sum of the weighted losses by all rows, so the weights of the others are
        such that their sum is the number of rows.
        """
        if self.replicas == 1:
            return batches, None
        rows = batch_size // self.workers
        steps = -(-images // batch_size)
        weight = steps * batch_size / images

        def pad(pixels: Any, labels: Any) -> tuple:
            real = tf.shape(labels)[0]
            below = tf.stack([0, rows - real])
            pixels = tf.pad(pixels, tf.pad(below[None], [[0, 3], [0, 0]]))
            labels = tf.pad(labels, below[None])
            weights = tf.where(tf.range(rows) < real, tf.constant(weight, tf.float32), 0.0)
            pixels.set_shape((rows, *pixels.shape[1:]))
            labels.set_shape((rows,))
            return pixels, labels, weights

        # Repeated, as Keras cannot see the end of a distributed dataset coming.
        return self.share(batches.map(pad).repeat().prefetch(2)), steps

    def _distributed(self, dataset: tf.data.Dataset) -> tf.distribute.DistributedDataset:
        return self._strategy.distribute_datasets_from_function(lambda context: dataset)

    @functools.cached_property
    def _sum(self) -> Any:
        def over_replicas(numbers: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # A copy, which lies on the replica's device; what comes from outside lies nowhere.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(numbers))

        @tf.function(input_signature=[tf.TensorSpec([MESSAGE], tf.float32)])
        def total(numbers: tf.Tensor) -> Any:
            return self._strategy.run(over_replicas, args=(numbers,))

        return total

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """Sum over the replicas, of which each worker has as many."""
        if self.workers == 1:
            return numbers
        sent = np.zeros(MESSAGE, "float32")
        sent[: len(numbers)] = numbers
        found = self._strategy.experimental_local_results(self._sum(tf.constant(sent)))[0]
        return found.numpy()[: len(numbers)] / self._local


def mirrored() -> TensorFlowStrategy:
    """Open the strategy of all GPUs of this machine, or of its virtual processors without any."""
    gpus = tf.config.list_logical_devices("GPU")
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    return TensorFlowStrategy("mirrored", tf.distribute.MirroredStrategy(devices))


def multiworker() -> TensorFlowStrategy:
    """Join the cluster that the environment tells of, and wait for all of it.

    Raises:
        StrategyError: The environment tells of none, or TensorFlow has computed already.
    """
    resolver = find_cluster()
    cluster = resolver.cluster_spec().as_dict()
    keras_faults.work_around()
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        raise StrategyError(
            f"'multiworker' has to be opened before TensorFlow computes anything ({error}); begin "
            "the process with it"
        ) from error
    workers = [(job, task) for job in JOBS for task in range(len(cluster.get(job, ())))]
    index = workers.index((resolver.task_type, resolver.task_id))
    return TensorFlowStrategy("multiworker", strategy, len(workers), index)


def tpu() -> TensorFlowStrategy:
    """Open the TPU that the environment tells of.

    Nobody has run isozoo on a TPU; on the JAX backend, `data-parallel` takes one too.

    Raises:
        StrategyError: There is none.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="")
    except ValueError as error:
        raise StrategyError(
            f"'tpu' found no TPU ({error}); start it on a TPU machine or set TPU_NAME"
        ) from error
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return TensorFlowStrategy("tpu", tf.distribute.TPUStrategy(resolver))
