"""The callbacks that know where a run is and keep it from being lost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import keras
import numpy as np

from isozoo.data.samples import Samples
from isozoo.models.classifier import Classifier
from isozoo.training.checkpoint import Checkpoints, Position, States, assign
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.divergence import Divergence
from isozoo.training.faults import bad_weight
from isozoo.training.interrupt import StopRequest, TrainingInterrupted

#: What a run was stopped by, told by the workers that got no signal themselves.
ANOTHER = "a signal to another worker"


@dataclasses.dataclass(frozen=True)
class Stop:
    """Ends a run on request where there is nothing new to save.

    Args:
        request: Asks to stop.
        checkpoints: Those of the run.
    """

    request: StopRequest
    checkpoints: Checkpoints

    def poll(self, doing: str) -> None:
        """Raise `TrainingInterrupted` if a signal has come.

        Args:
            doing: What is interrupted, such as `"the last measurement"`.
        """
        if self.request.signal:
            self._end(doing, self.request.signal)

    def poll_together(self, doing: str, workers: Strategy) -> None:
        """Raise `TrainingInterrupted` on all workers if a signal has come to any; all ask at once.

        Args:
            doing: What is interrupted.
            workers: The workers.
        """
        (asked,) = workers.agree(bool(self.request.signal))
        if asked:
            self._end(doing, self.request.signal or ANOTHER)

    def _end(self, doing: str, signal: str) -> NoReturn:
        folder = next(reversed(self.checkpoints.folders()), None)
        kept = f"the last checkpoint is {folder}" if folder else "there was nothing to save yet"
        raise TrainingInterrupted(
            f"stopped by {signal} during {doing}; {kept}: repeat the command with "
            "--resume to go on",
            folder,
        )


@dataclasses.dataclass(frozen=True)
class StoppableSamples:
    """Samples that can be interrupted as they are read.

    Args:
        samples: The samples.
        poll: Called before each is read; may raise.
    """

    samples: Samples
    poll: Callable[[], None]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.samples.classes

    @property
    def labels(self) -> np.ndarray:
        """int32 labels, `(samples,)`."""
        return self.samples.labels

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one sample."""
        self.poll()
        return self.samples.image(index)


class StoppableNetwork:
    """A network that can be interrupted between two batches.

    Args:
        network: The network.
        poll: Called before each batch; may raise.
    """

    def __init__(self, network: Classifier, poll: Callable[[], None]):
        self.labels = network.labels
        self.data_format = network.data_format
        self.preprocessing = network.preprocessing
        self.architecture = network.architecture
        self.provenance = network.provenance
        self._network, self._poll = network, poll

    def __call__(self, images: Any, /, *, training: bool = False) -> Any:
        """Return the logits of preprocessed images."""
        self._poll()
        return self._network(images, training=training)


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
        notes: Returns what the other callbacks have to know to go on; all workers call it at once.
        sound: Returns whether the state may be one to go back to; if not, it is saved on request
            only.
        strategy: Who trains together: all save at one position, the chief writes.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        tracker: Tracker,
        request: StopRequest,
        minutes: float | None,
        notes: Callable[[], dict[str, Any]],
        sound: Callable[[], bool] = lambda: True,
        strategy: Strategy | None = None,
    ):
        super().__init__()
        self.strategy = strategy or Strategy()
        self.checkpoints = checkpoints
        self.tracker = tracker
        self.request = request
        self.notes = notes
        self.sound = sound
        self._seconds = float("inf") if minutes is None else 60 * minutes
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save if it is time, or on request."""
        asked, due = self._wishes()
        if asked or (due and self.sound()):
            self._save(asked)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Keep the states that the validation is about to change, such as the metrics."""
        self._states = States.of(self.model)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save on request; the validation will be done anew."""
        asked, _ = self._wishes()
        if asked:
            self._save(asked, self._states)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save, or as soon as the state is sound."""
        asked, _ = self._wishes()
        if asked or self.sound():
            self._save(asked)
        else:
            self._saved = float("-inf")

    def _wishes(self) -> tuple[bool, ...]:
        """Return whether any worker was asked to stop, and whether it is time for any to save."""
        due = time.monotonic() - self._saved >= self._seconds
        return self.strategy.agree(bool(self.request.signal), due)

    def _save(self, asked: bool, states: States | None = None) -> None:
        position, notes = self.tracker.position, self.notes()
        if keras.config.backend() == "jax":
            # While it trains, Keras holds the weights of this backend outside of the model.
            self.model.jax_state_sync()
        # A step with a finite loss may have left weights that are not.
        if bad_weight(self.model):
            raise Divergence(position, position, "a weight became infinite or NaN", "state")
        # The metrics of several workers are read by all of them.
        states = states or States.of(self.model)
        folder = self.strategy.decide(
            lambda: self.checkpoints.save(self.model, position, notes, states)
        )
        self._saved = time.monotonic()
        if asked:
            signal = self.request.signal or ANOTHER
            raise TrainingInterrupted(
                f"stopped by {signal} after {position}; everything up to there is in "
                f"{folder}: repeat the command with --resume to go on",
                folder,
            )
