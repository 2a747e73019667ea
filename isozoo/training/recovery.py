"""The callbacks that know where a run is and keep it from being lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from isozoo.training.checkpoint import Checkpoints, Position, States, assign
from isozoo.training.divergence import Divergence
from isozoo.training.faults import bad_weight
from isozoo.training.interrupt import StopRequest, TrainingInterrupted


class Tracker(keras.callbacks.Callback):
    """Know how far the run is; stands before the callbacks that ask.

    Args:
        start: Where the run goes on.
        metrics: The metrics' values there, within an epoch: Keras begins each epoch from nothing.
    """

    def __init__(self, start: Position, metrics: Sequence[np.ndarray] = ()):
        super().__init__()
        self.position = self._start = start
        self._metrics = metrics

    @property
    def resumed(self) -> bool:
        """Whether the epoch that has begun was begun by an earlier process."""
        return bool(self._start.step) and self.position.epoch == self._start.epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Go to the epoch's first step, or to where it was left."""
        self.position = Position(epoch)
        if self.resumed:
            self.position = self._start
            assign(self.model.metrics_variables, self._metrics)
        self._first = self.position.step

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count a step."""
        self.position = Position(self.position.epoch, self._first + batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Count an epoch."""
        self.position = Position(epoch + 1)


class Saver(keras.callbacks.Callback):
    """Write checkpoints at each epoch's end, every few minutes, and when asked to stop.

    Args:
        checkpoints: Where to.
        tracker: Knows the position.
        request: Asks to stop.
        minutes: Between checkpoints within an epoch; none but on request if None.
        notes: Returns what the other callbacks have to know to go on.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        tracker: Tracker,
        request: StopRequest,
        minutes: float | None,
        notes: Callable[[], dict[str, Any]],
    ):
        super().__init__()
        self.checkpoints = checkpoints
        self.tracker = tracker
        self.request = request
        self.notes = notes
        self._seconds = float("inf") if minutes is None else 60 * minutes
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save if it is time, or on request."""
        if self.request.signal or time.monotonic() - self._saved >= self._seconds:
            self._save()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Keep the states that the validation is about to change, such as the metrics."""
        self._states = States.of(self.model)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save on request; the validation will be done anew."""
        if self.request.signal:
            self._save(self._states)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save."""
        self._save()

    def _save(self, states: States | None = None) -> None:
        position = self.tracker.position
        # A step with a finite loss may have left weights that are not.
        if bad_weight(self.model):
            raise Divergence(position, position, "a weight became infinite or NaN")
        folder = self.checkpoints.save(self.model, position, self.notes(), states)
        self._saved = time.monotonic()
        if self.request.signal:
            raise TrainingInterrupted(
                f"stopped by {self.request.signal} after {position}; everything up to there is in "
                f"{folder}: repeat the command with --resume to go on",
                folder,
            )
