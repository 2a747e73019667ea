"""Two faults of Keras that keep `fit` from running under MultiWorkerMirroredStrategy.

Both are in Keras's trainer for TensorFlow, seen in 3.15.1 (https://github.com/keras-team/keras
issue 20585): it takes the mean of a batch over the workers to learn its shape, integer labels and
all, and it reduces the metrics of a step, which are single numbers, along an axis they do not have.
A test fails as soon as Keras can do without this module.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import tensorflow as tf

from isozoo.training.distribute import StrategyError

#: Versions of Keras whose trainer was looked at.
KNOWN = r"3\.15\."


def work_around() -> None:
    """Mend Keras's trainer for this process.

    Raises:
        StrategyError: This Keras is not one that is known to have the faults.
    """
    if not re.match(KNOWN, keras.__version__):
        raise StrategyError(
            f"'multiworker' mends Keras 3.15, and this is {keras.__version__}: install "
            "'keras>=3.15.1,<3.16', or an isozoo that knows this Keras"
        )
    from keras.src.backend.tensorflow import trainer

    faulty = trainer.reduce_per_replica
    if getattr(faulty, "mended", False):
        return

    def reduce_per_replica(values: Any, strategy: tf.distribute.Strategy, reduction: str) -> Any:
        of_workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if of_workers and reduction in ("auto", "mean"):
            return keras.tree.map_structure(
                lambda value: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None),
                values,
            )
        return faulty(values, strategy, reduction)

    reduce_per_replica.mended = True
    trainer.reduce_per_replica = reduce_per_replica
    trainer.TensorFlowTrainer._maybe_symbolic_build = _symbolic_build


def _symbolic_build(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
    """Build from one replica's rows of a batch, which have the shape that matters."""
    if self._distribute_strategy is None:
        return
    if iterator is not None:
        _, _, steps = next(iter(iterator))
        strategy = self.distribute_strategy
        data_batch = tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], next(steps)
        )
    with self.distribute_strategy.scope():
        self._symbolic_build(data_batch=data_batch)
