"""Where a step on several replicas of `tf.distribute` is not that of one device, and what is done.

Keras 3.15 clips gradients on each replica before they are summed, normalises over each replica's
own rows, and does not divide every loss by the replicas; the penalties and `add_loss` are right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from isozoo.layers import BatchInstanceNormalization
from isozoo.training.distribute import StrategyError

#: What a compiled model may not have, and why; all of it was found by running it.
REFUSED: tuple[tuple[str, Callable[[keras.Model], object]], ...] = (
    (
        "gradient_accumulation_steps fails where gradients are summed over replicas; leave it out "
        "and take a larger batch",
        lambda model: _inner(model.optimizer).gradient_accumulation_steps,
    ),
    (
        "steps_per_execution above 1 fails with a distributed dataset; leave it at 1",
        lambda model: model.steps_per_execution > 1,
    ),
    (
        "clipnorm and clipvalue would clip on each replica before the sum; use global_clipnorm",
        lambda model: _inner(model.optimizer).clipnorm or _inner(model.optimizer).clipvalue,
    ),
    (
        "a loss with reduction 'sum' grows with the replicas; use 'sum_over_batch_size'",
        lambda model: getattr(model.loss, "reduction", None) == "sum",
    ),
)


def check_compiled(model: keras.Model, strategy: str) -> None:
    """Refuse a compiled model whose steps would fail, or differ from those of one device.

    Raises:
        StrategyError: The message says what to leave out.
    """
    for reason, has in REFUSED:
        if has(model):
            raise StrategyError(f"'{strategy}' cannot train this model: {reason}")


def synchronize(model: keras.Model, replicas: int) -> None:
    """Let batch normalisations see the rows of all replicas; the steps are not traced yet."""
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
        elif isinstance(layer, BatchInstanceNormalization):
            layer.replicas = replicas


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def clip_the_sum(optimizer: keras.optimizers.Optimizer, replicas: int) -> None:
    """Let a `global_clipnorm` hold for the sum of the gradients and not for each replica's.

    The gradients are summed here, clipped, and divided by the replicas, over which the optimiser
    sums them once more.
    """
    optimizer = _inner(optimizer)
    limit, apply = optimizer.global_clipnorm, optimizer.apply
    if not limit:
        return
    optimizer.global_clipnorm = None

    def apply_clipped(
        grads: Sequence[tf.Tensor], trainable_variables: Sequence[keras.Variable] | None = None
    ) -> None:
        context = tf.distribute.get_replica_context()
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))
        clipped, _ = tf.clip_by_global_norm(whole, limit)
        apply([gradient / replicas for gradient in clipped], trainable_variables)

    optimizer.apply = apply_clipped


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimiser within the one that scales the loss in mixed precision, if it does."""
    return getattr(optimizer, "inner_optimizer", optimizer)
