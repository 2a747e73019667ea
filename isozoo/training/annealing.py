"""The weight of a term of the loss over training, in cycles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from isozoo.errors import unknown


def _linear(v: float) -> float:
    return v


def _sigmoid(v: float) -> float:
    return 1.0 / (1.0 + math.exp(6.0 - 12.0 * v))


def _cosine(v: float) -> float:
    return 0.5 - 0.5 * math.cos(math.pi * v)


#: How a weight rises, as functions of [0, 1]. The sigmoid begins at 0.0025 and ends at 0.9975.
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": _linear,
    "sigmoid": _sigmoid,
    "cosine": _cosine,
}


def _rise(steps: float, shape: Callable[[float], float]) -> list[float]:
    """Return the weights of the steps in which a cycle rises."""
    # The sum, as in the authors' code, and not a multiple: its rounding decides whether the step
    # that ends the rise still has f(1), which is not 1 for the sigmoid.
    values, v = [], 0.0
    while v <= 1:
        values.append(shape(v))
        v += 1 / steps
    return values


@keras.saving.register_keras_serializable(package="isozoo")
class CyclicalAnnealing(keras.callbacks.Callback):
    r"""Raises the weight of a term of the loss from 0 to 1 again and again.

    Cycle $c = 0 \ldots M - 1$ of $M$ begins at step $\lfloor c\,T / M \rfloor$ of $T$. In its step
    $i = 0, 1, \ldots$ let $v = i\,M / (T R)$: the weight is $s\,f(v)$ while $v \leq 1$, and $s$ for
    the rest of the cycle and after the last one. $f(v)$ is $v$ for `linear`,
    $1 / (1 + e^{6 - 12 v})$ for `sigmoid` and $(1 - \cos \pi v) / 2$ for `cosine`. One cycle is the
    monotonic schedule.

    The step is the optimiser's count, so a training that goes on from a checkpoint goes on in its
    cycle, and steps over which gradients are accumulated have one weight.

    Args:
        weight: Variable to set before each batch; None to only compute weights with `at`.
        steps: $T$, steps of the optimiser in all cycles.
        cycles: $M$, at most `steps`. It need not divide them.
        ratio: $R$, the share of a cycle in which the weight rises, in (0, 1].
        shape: `"linear"`, `"sigmoid"` or `"cosine"`.
        scale: $s$, the largest weight.

    Raises:
        UnknownNameError: There is no such shape.
        ValueError: A number is out of its range; or, as training begins, the model runs several
            steps at once (`steps_per_execution`), between which no callback is called.

    Reference:
        Fu et al., Cyclical Annealing Schedule, NAACL 2019.

    Example:
        >>> annealing = CyclicalAnnealing(None, steps=10, cycles=2)
        >>> [round(annealing.at(step), 1) for step in range(10)]
        [0.0, 0.4, 0.8, 1.0, 1.0, 0.0, 0.4, 0.8, 1.0, 1.0]
    """

    def __init__(
        self,
        weight: keras.Variable | None,
        steps: int,
        cycles: int = 4,
        ratio: float = 0.5,
        shape: str = "linear",
        scale: float = 1.0,
    ):
        super().__init__()
        if shape not in SHAPES:
            raise unknown("shape", shape, SHAPES)
        if not 1 <= cycles <= steps:
            raise ValueError(f"cycles must be in [1, steps], got {cycles} cycles of {steps} steps")
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio must be in (0, 1], got {ratio}")
        if not (math.isfinite(scale) and scale >= 0):
            raise ValueError(f"scale must be finite and not negative, got {scale}")
        self.weight = weight
        self.steps = steps
        self.cycles = cycles
        self.ratio = ratio
        self.shape = shape
        self.scale = scale
        self._rise = _rise(steps / cycles * ratio, SHAPES[shape])

    def at(self, step: int) -> float:
        """Return the weight of a step of the optimiser, from 0 on."""
        if step >= self.steps:
            return self.scale
        # In integers: no multiple of a rounded period can begin a cycle one step late.
        cycle = ((step + 1) * self.cycles - 1) // self.steps
        since = step - cycle * self.steps // self.cycles
        return self.scale * (self._rise[since] if since < len(self._rise) else 1.0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuse what cannot be kept, and set the weight of the first step."""
        several = getattr(self.model, "steps_per_execution", 1)
        if several != 1:
            raise ValueError(
                f"the weight has to be set before each step, found steps_per_execution={several}; "
                "compile the model with 1"
            )
        self._set()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the weight of the step to come."""
        self._set()

    def _set(self) -> None:
        if self.weight is not None:
            self.weight.assign(self.at(int(self.model.optimizer.iterations)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments but the variable."""
        names = ("steps", "cycles", "ratio", "shape", "scale")
        return {name: getattr(self, name) for name in names}
