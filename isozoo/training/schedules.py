"""Learning-rate schedules that Keras lacks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="isozoo")
class WarmupMilestones(keras.optimizers.schedules.LearningRateSchedule):
    r"""The paper's schedule: warm up by epoch, then drop at milestones.

    In epoch $e = 1, 2, \ldots$ the rate is $\eta\,e / E$ while $e < E$, and afterwards
    $\eta\,\gamma^{n}$ with $n$ the number of milestones below $e$, so that a drop at milestone 30
    takes effect from epoch 31.

    Args:
        learning_rate: Rate $\eta$ between warm-up and the first drop.
        steps_per_epoch: Optimiser steps in an epoch, at least 1.
        warmup_epochs: $E$; 0 or 1 for no warm-up.
        milestones: Epochs after which the rate drops, ascending.
        gamma: Factor of each drop.

    Returns:
        Called with a step from 0 on, the learning rate as a scalar.

    Raises:
        ValueError: `steps_per_epoch` is below 1 or the milestones do not ascend.

    Reference:
        Qi et al., ICML 2020, and the authors' code.

    Example:
        >>> rate = WarmupMilestones(0.1, steps_per_epoch=10)
        >>> [round(float(rate(10 * (epoch - 1))), 4) for epoch in (1, 4, 5, 30, 31, 91)]
        [0.02, 0.08, 0.1, 0.1, 0.01, 0.0001]
    """

    def __init__(
        self,
        learning_rate: float,
        steps_per_epoch: int,
        warmup_epochs: int = 5,
        milestones: Sequence[int] = (30, 60, 90),
        gamma: float = 0.1,
    ):
        if steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch must be at least 1, got {steps_per_epoch}")
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"milestones must ascend, got {list(milestones)}")
        self.learning_rate = learning_rate
        self.steps_per_epoch = steps_per_epoch
        self.warmup_epochs = warmup_epochs
        self.milestones = tuple(milestones)
        self.gamma = gamma

    def __call__(self, step):
        """Return the learning rate of a step."""
        # The quotient is taken of integers: float32 counts steps exactly only up to 2**24.
        epoch = ops.cast(ops.cast(step, "int64") // self.steps_per_epoch + 1, "float32")
        rate = ops.convert_to_tensor(self.learning_rate, "float32")
        for milestone in self.milestones:
            rate = ops.where(epoch > milestone, rate * self.gamma, rate)
        if self.warmup_epochs > 1:
            warming = self.learning_rate * epoch / self.warmup_epochs
            rate = ops.where(epoch < self.warmup_epochs, warming, rate)
        return rate

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            "learning_rate": self.learning_rate,
            "steps_per_epoch": self.steps_per_epoch,
            "warmup_epochs": self.warmup_epochs,
            "milestones": list(self.milestones),
            "gamma": self.gamma,
        }
