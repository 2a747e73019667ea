"""Measures taken at chosen steps of a training run, which goes on as if nobody had looked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

import keras
import numpy as np

from isozoo.diagnostics import distributions, shifts, smooth, travel, walks
from isozoo.diagnostics.ahead import steps_done
from isozoo.diagnostics.result import Result
from isozoo.errors import DiagnosticsError
from isozoo.training.checkpoint import values_of

Found = TypeVar("Found", bound=Result)
#: Images and labels.
Batch = tuple[Any, Any]


class Measuring(keras.callbacks.Callback, Generic[Found]):
    """The base of callbacks that measure before chosen training steps.

    What is measured leaves weights, running statistics, optimiser and random generators as they
    were, so that training gives the same weights to the bit with the callback and without.

    Args:
        at: Numbers of the steps to measure at, by the optimiser's count: 0 is before the first.
            What supports `in`, such as `range(0, 1000, 50)`.
        batch: Images and labels to measure on; or a function that returns them for a step, such as
            the ones that the step will train on.
        options: Further arguments of the measure.
    """

    def __init__(
        self,
        at: Collection[int],
        batch: Batch | Callable[[int], Batch],
        options: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.at = at
        self.batch: Callable[[int], Batch] = batch if callable(batch) else lambda step: batch
        self.options = options or {}
        #: What was measured so far, step by step.
        self.parts: list[Found] = []
        self._step = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Learn how many steps were done before."""
        model = self.model
        if model.steps_per_execution != 1:
            raise DiagnosticsError(
                f"asked to measure before single training steps, and {model.name} takes "
                f"{model.steps_per_execution} at once; compile it with steps_per_execution=1"
            )
        self._step = steps_done(model)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Measure, if it is time."""
        if self._step in self.at:
            self.before(self.model, *self.batch(self._step))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count the step."""
        if self._step in self.at:
            self.after(self.model)
        self._step += 1

    def before(self, model: keras.Model, images: Any, labels: Any) -> None:
        """Measure before a chosen step."""
        raise NotImplementedError

    def after(self, model: keras.Model) -> None:
        """Measure after a chosen step."""

    def join(self) -> Found:
        """Return what was measured at all steps, of which there are some."""
        raise NotImplementedError

    def result(self) -> Found:
        """Return what was measured, over training.

        Raises:
            DiagnosticsError: None of the chosen steps was reached.
        """
        if not self.parts:
            raise DiagnosticsError(
                f"nothing was measured: training ended before step {self._step} and {self.at} "
                "holds none of its steps; choose earlier ones"
            )
        return self.join()


class SmoothnessCallback(Measuring[walks.Smoothness]):
    """Measure `isozoo.diagnostics.smoothness` at chosen training steps.

    With the notebook's variant the gradient is taken before the step and the walk is done after it,
    with the weights and running statistics that the step itself left.

    Args:
        at: As for `Measuring`.
        batch: As for `Measuring`.
        variant: Key of `isozoo.diagnostics.walks.VARIANTS`.
        options: `scales`, `training`, `loss`, `penalties` or `label` of `smoothness`.

    Example:
        >>> model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
        >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> batch = np.ones((4, 5), "float32"), np.arange(4) % 2
        >>> watch = SmoothnessCallback([0], batch, options={"scales": [1.0]})
        >>> _ = model.fit(*batch, callbacks=[watch], verbose=0)
        >>> watch.result().steps.tolist()
        [0]
    """

    def __init__(
        self,
        at: Collection[int],
        batch: Batch | Callable[[int], Batch],
        variant: str = "exact",
        options: dict[str, Any] | None = None,
    ):
        super().__init__(at, batch, options)
        self.variant = variant
        self._begun: smooth.Direction | None = None

    def before(self, model: keras.Model, images: Any, labels: Any) -> None:
        """Measure, or take the gradient that is followed after the step."""
        found = smooth.direction(model, images, labels, variant=self.variant, **self.options)
        if walks.VARIANTS[self.variant].ahead:
            self._begun = found
        else:
            self.parts.append(found.follow(values_of(model.trainable_variables)))

    def after(self, model: keras.Model) -> None:
        """Measure from where the step led."""
        if self._begun is not None:
            self.parts.append(self._begun.follow(values_of(model.trainable_variables)))
            self._begun = None

    def join(self) -> walks.Smoothness:
        """Return what was measured at all steps."""
        return walks.joined(self.parts)


class CovariateShiftCallback(Measuring[shifts.CovariateShift]):
    """Measure `isozoo.diagnostics.covariate_shift` at chosen training steps.

    Args:
        at: As for `Measuring`.
        batch: As for `Measuring`.
        options: Arguments of `covariate_shift`, such as `variant`.
    """

    def before(self, model: keras.Model, images: Any, labels: Any) -> None:
        """Measure."""
        self.parts.append(shifts.covariate_shift(model, images, labels, **self.options))

    def join(self) -> shifts.CovariateShift:
        """Return what was measured at all steps."""
        return shifts.joined(self.parts)


class ActivationsCallback(Measuring[distributions.Activations]):
    """Measure `isozoo.diagnostics.activations` at chosen training steps.

    Args:
        at: As for `Measuring`.
        batch: As for `Measuring`; the labels are not read.
        options: Arguments of `activations`, such as `layers`.
    """

    def before(self, model: keras.Model, images: Any, labels: Any) -> None:
        """Measure."""
        self.parts.append(distributions.activations(model, images, **self.options))

    def join(self) -> distributions.Activations:
        """Return what was measured at all steps."""
        return distributions.joined(self.parts)


class DistancesCallback(Measuring[travel.Distances]):
    """Measure `isozoo.diagnostics.distances` from where `fit` first began, and where it ended.

    Args:
        at: As for `Measuring`; the end is always measured.
        options: `label` of `distances`.
    """

    def __init__(self, at: Collection[int] = (), options: dict[str, Any] | None = None):
        super().__init__(at, (None, None), options)
        self._initial: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Keep the weights, if this is the beginning."""
        super().on_train_begin(logs)
        if self._initial is None:
            self._initial = values_of(self.model.trainable_variables)

    def before(self, model: keras.Model, images: Any, labels: Any) -> None:
        """Measure."""
        assert self._initial is not None
        self.parts.append(travel.distances(model, self._initial, **self.options))

    def on_train_end(self, logs: dict | None = None) -> None:
        """Measure where training ended."""
        self.before(self.model, None, None)

    def join(self) -> travel.Distances:
        """Return what was measured at all steps."""
        return travel.joined(self.parts)
