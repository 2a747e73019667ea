"""What happens around epochs: the log, the checkpoint, the progress bar."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isozoo.errors import IsozooError
from isozoo.files import atomic_write
from isozoo.regularizers import model_penalty


class DivergedError(IsozooError, ArithmeticError):
    """Training stopped because the loss was no longer a finite number."""


class EpochLog(keras.callbacks.Callback):
    """Append one JSON line per epoch to a file, and keep the lines of a resumed run.

    Args:
        path: The `log.jsonl`.
        done: Finished epochs whose lines are kept; later ones, of a run that was killed after it
            logged and before it saved, are dropped.
        images_per_epoch: Images trained on in an epoch, for the speed.
    """

    def __init__(self, path: Path, done: int, images_per_epoch: int):
        super().__init__()
        self.path = path
        self.images_per_epoch = images_per_epoch
        self.size = 0
        text = path.read_text("utf-8") if path.exists() else ""
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()][:done]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock; note the learning rate, at the end it is the next epoch's."""
        self._rate = float(self.model.optimizer.learning_rate)
        self._start = time.perf_counter()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Stop the clock before validation."""
        self._trained = time.perf_counter() - self._start

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the line; refuse a loss that is not finite."""
        logs = logs or {}
        seconds = getattr(self, "_trained", None) or time.perf_counter() - self._start
        self._trained = None
        if not math.isfinite(logs["loss"]):
            raise DivergedError(
                f"the loss became {logs['loss']} in epoch {epoch + 1}; the last checkpoint is "
                "good: lower the learning rate, lengthen the warm-up or set "
                "optimizer.global_clipnorm, and continue from it or start again"
            )
        row = {
            "epoch": epoch + 1,
            "size": self.size,
            "learning_rate": self._rate,
            "penalty": float(model_penalty(self.model)),
            "seconds": round(seconds, 2),
            "images_per_second": round(self.images_per_epoch / seconds, 1),
            **{key: float(value) for key, value in logs.items()},
        }
        self.rows.append(row)
        atomic_write(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))


class AfterEpoch(keras.callbacks.Callback):
    """Call a function with the number of finished epochs at the end of each."""

    def __init__(self, action: Callable[[int], object]):
        super().__init__()
        self.action = action

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Call the function."""
        self.action(epoch + 1)


class ProgressBar(keras.callbacks.Callback):
    """One bar over the whole run on the terminal's error stream; nothing elsewhere.

    Args:
        epochs: Epochs of the run.
        done: Epochs finished before.
        steps: Steps per epoch.
    """

    def __init__(self, epochs: int, done: int, steps: int):
        super().__init__()
        self.epochs = epochs
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        total, first = epochs * steps, done * steps
        self.task = self.progress.add_task("training", total=total, completed=first, note="")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Show the bar and the number of the epoch."""
        self.progress.start()
        self.progress.update(self.task, description=f"epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Advance by a step."""
        self.progress.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the epoch's accuracies."""
        shown = {"accuracy": "train", "val_accuracy": "val"}
        logs = logs or {}
        note = "  ".join(f"{label} {logs[key]:.1%}" for key, label in shown.items() if key in logs)
        self.progress.update(self.task, note=note)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *failure: object) -> None:
        # Also after an error: a bar that is not stopped leaves the terminal without its cursor.
        self.progress.stop()
