"""Losses that are no longer finite, or explode: noticed at once, and traced to a layer."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from isozoo.errors import IsozooError, WeightsError
from isozoo.files import atomic_write
from isozoo.training.checkpoint import Position, settings_that_count
from isozoo.training.settings import RecoverySettings

#: Steps whose median loss an explosion is measured by.
WINDOW = 100


class DivergedError(IsozooError, ArithmeticError):
    """Training stopped because the loss exploded or was no longer a finite number.

    Args:
        message: What to say.
        epoch: Epoch of the first bad step, counted from 1.
        step: First bad step in it, counted from 1.
        layer: The layer that went first; None if it could not be told.
        checkpoint: Folder of the last good checkpoint; None if there is none yet.
    """

    def __init__(
        self,
        message: str,
        epoch: int,
        step: int,
        layer: str | None = None,
        checkpoint: Path | None = None,
    ):
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.layer = layer
        self.checkpoint = checkpoint


class Divergence(Exception):
    """Tells the loop that training must not go on from here.

    Args:
        first: Position before the first bad step.
        last: Position before the step at which it was noticed.
        what: What happened.
        kind: What that was a property of: a step's loss that is no number (`"loss"`) or too large
            (`"explosion"`), or of the state after a step (`"state"`), whose position both are then.
    """

    def __init__(self, first: Position, last: Position, what: str, kind: str = "loss"):
        super().__init__(what)
        self.first = first
        self.last = last
        self.what = what
        self.kind = kind

    def step(self, steps: int) -> tuple[int, int]:
        """Return the epoch and the first bad step in it, counted from 1; an epoch has `steps`."""
        done = self.first.steps_done(steps) - (self.kind == "state")
        epoch, step = Position.of(done, steps)
        return epoch + 1, step + 1


def refuse_no_numbers(logs: Mapping[str, Any], position: Position) -> None:
    """Raise `Divergence` if something that was measured after an epoch is not finite."""
    for name, value in logs.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise Divergence(position, position, f"{name} became {value}", kind="state")


@dataclasses.dataclass(frozen=True)
class Rollbacks:
    """The rollbacks of a run so far.

    They are kept in a file of their own: the next checkpoint may be long in coming.

    Args:
        told: What is to be told of each.
        factor: What they made of the learning rate, all together.
        back: Where the last one went back to; None if there was none.
        bad: Where the loss had diverged; nothing is saved on the way there again.
    """

    told: Sequence[str] = ()
    factor: float = 1.0
    back: Position | None = None
    bad: Position | None = None

    @classmethod
    def read(cls, path: Path, recipe: Mapping[str, Any]) -> Rollbacks:
        """Return what a file says; nothing if there is none or it is of another recipe.

        Raises:
            WeightsError: The file is damaged.
        """
        if not path.exists():
            return cls()
        try:
            stored = json.loads(path.read_text("utf-8"))
            places = [Position(*stored[key]) for key in ("back", "bad")]
            found = cls(tuple(stored["told"]), float(stored["factor"]), *places)
            same = settings_that_count(stored["recipe"]) == settings_that_count(recipe)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{path} does not tell of rollbacks ({error!r}); remove it to go on with the "
                "recipe's own learning rate"
            ) from error
        return found if same else cls()

    def write(self, path: Path, recipe: Mapping[str, Any]) -> None:
        """Write them to a file, whole or not at all."""
        atomic_write(path, json.dumps(dataclasses.asdict(self) | {"recipe": recipe}, indent=1))


class LossWatch(keras.callbacks.Callback):
    """Raise `Divergence` at the first loss that is not finite, or as the loss explodes.

    Keras hands the running means of the epoch over as numbers, at each step and to any callback, so
    looking at them makes nothing wait. A step's own loss follows from two means in a row.

    Args:
        tracker: Knows the position; stands before this callback.
        settings: What counts as an explosion.
        state: What `state()` returned where the run goes on.
    """

    def __init__(self, tracker: Any, settings: RecoverySettings, state: Mapping[str, Any]):
        super().__init__()
        self.tracker = tracker
        self.settings = settings
        self._losses = deque(state.get("losses", ()), maxlen=WINDOW)
        self._high = [Position(*place) for place in state.get("high", ())]

    def state(self) -> dict[str, Any]:
        """Return what has to be known to go on."""
        return {"losses": list(self._losses), "high": self._high}

    @property
    def alarmed(self) -> bool:
        """Whether the last losses were too large: an explosion may have begun."""
        return bool(self._high)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the validation."""
        refuse_no_numbers(logs or {}, self.tracker.position)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Take up the running mean."""
        resumed = self.tracker.resumed
        self._mean = float(self.model.get_metrics_result()["loss"]) if resumed else 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Look at the loss."""
        done = self.tracker.position
        before = Position(done.epoch, done.step - 1)
        mean = (logs or {})["loss"]
        if not math.isfinite(mean):
            raise Divergence(before, before, f"the loss became {mean}")
        if self.settings.explosion is not None:
            self._check_explosion(before, mean * done.step - self._mean * before.step)
        self._mean = mean

    def _check_explosion(self, before: Position, loss: float) -> None:
        factor, patience = self.settings.explosion, self.settings.patience
        assert factor is not None
        assert patience is not None
        usual = statistics.median(self._losses) if len(self._losses) == WINDOW else math.inf
        if loss <= factor * usual:
            self._high = []
            self._losses.append(loss)
            return
        self._high.append(before)
        if len(self._high) == patience:
            raise Divergence(
                self._high[0],
                before,
                f"the loss was above {factor:g} times its median ({usual:.4g}) for {patience} "
                f"steps and reached {loss:.4g}",
                kind="explosion",
            )
