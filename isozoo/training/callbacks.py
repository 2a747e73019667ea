"""What is told of a run as it goes: the log and the progress bar."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from isozoo.files import atomic_write
from isozoo.models.provenance import log_text, read_log
from isozoo.regularizers import model_penalty
from isozoo.training.divergence import refuse_no_numbers


class EpochLog(keras.callbacks.Callback):
    """Append one JSON line per epoch to a file, and keep the lines of a resumed run.

    Callbacks after this one find what the line says in their `logs`.

    Args:
        path: The `log.jsonl`.
        tracker: Knows the position; stands before this callback. Lines of epochs after it, of a
            run that was killed after it logged and before it saved, are dropped.
        images_per_epoch: Images trained on in an epoch, for the speed.
        rollbacks: What is to be told of the rollbacks of the run so far.
        state: What `state()` returned where the run goes on.
        csv: Whether to write the lines as a table too, `log.csv`. (Keras's own `CSVLogger` settles
            its columns at the first epoch of each `fit` and repeats rows of a resumed run.)
        writing: Given a path, returns the context in which it is written.
        decide: Calls a function where files are written; see `Strategy.decide`.
    """

    def __init__(
        self,
        path: Path,
        tracker: Any,
        images_per_epoch: int,
        rollbacks: Sequence[str] = (),
        state: Mapping[str, Any] | None = None,
        csv: bool = False,
        writing: Callable[[Path], AbstractContextManager[None]] = nullcontext,
        decide: Callable[[Callable[[], None]], None] = lambda write: write(),
    ):
        super().__init__()
        self.writing = writing
        self.decide = decide
        self.path = path
        self.tracker = tracker
        self.images_per_epoch = images_per_epoch
        self.rollbacks = rollbacks
        self.csv = csv
        self.size = 0
        rows = read_log(path) if path.exists() else []
        self.rows: list[dict[str, Any]] = rows[: tracker.position.epoch]
        self._state = dict(state or {})

    def state(self) -> dict[str, Any]:
        """Return what has to be known to go on within the epoch."""
        return {"learning_rate": self._rate, "seconds": self._seconds()}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock; note the learning rate, at the end it is the next epoch's."""
        before = self._state if self.tracker.resumed else {}
        self._rate = before.get("learning_rate", _rate_of(self.model))
        self._start = time.perf_counter() - before.get("seconds", 0.0)
        self._trained: float | None = None

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Stop the clock before validation."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the line; raise `Divergence` if a number in it is none, which JSON cannot say."""
        seconds = self._seconds()
        row = {
            "epoch": epoch + 1,
            "size": self.size,
            "learning_rate": self._rate,
            "penalty": float(keras.ops.convert_to_numpy(model_penalty(self.model))),
            "seconds": round(seconds, 2),
            "images_per_second": round(self.images_per_epoch / seconds, 1),
            **{key: float(value) for key, value in (logs or {}).items()},
        }
        refuse_no_numbers(row, self.tracker.position)
        if logs is not None:
            logs.update({key: value for key, value in row.items() if key != "epoch"})
        told = sum(len(row.get("rollbacks", ())) for row in self.rows)
        if self.rollbacks[told:]:
            row["rollbacks"] = list(self.rollbacks[told:])
        self.rows.append(row)
        self.decide(self._write)

    def _write(self) -> None:
        with self.writing(self.path):
            atomic_write(self.path, log_text(self.rows))
        if self.csv:
            table = self.path.with_suffix(".csv")
            with self.writing(table):
                atomic_write(table, _csv_text(self.rows))

    def _seconds(self) -> float:
        return (self._trained or time.perf_counter()) - self._start


class _ImagesPerSecond(ProgressColumn):
    """Speed of a task that counts steps, in images."""

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        speed = (task.speed or 0.0) * self.batch_size
        return Text(f"{speed:.0f} images/s" if speed else "")


class ProgressBar(keras.callbacks.Callback):
    """One line for the whole run on the terminal's error stream; nothing elsewhere.

    It shows images per second and the time left, and besides, renewed once a second, the epoch's
    loss, the last epoch's penalty and the learning rate, then the last epoch's accuracies.

    Args:
        epochs: Epochs of the run.
        done: Steps done before.
        steps: Steps per epoch.
        batch_size: Images per step.
        console: Where to; the process's error stream by default.
    """

    def __init__(
        self, epochs: int, done: int, steps: int, batch_size: int, console: Console | None = None
    ):
        super().__init__()
        console = console or Console(stderr=True)
        self.epochs = epochs
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            _ImagesPerSecond(batch_size),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}  {task.fields[accuracy]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task(
            "training", total=epochs * steps, completed=done, note="", accuracy=""
        )
        self._penalty: dict[str, float] = {}
        self._shown = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Measure the penalty once, if anybody sees it."""
        if not self.progress.disable and not self._penalty:
            self._penalty = {"penalty": float(model_penalty(self.model))}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Show the line and the number of the epoch."""
        self.progress.start()
        self.progress.update(self.task, description=f"epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Advance by a step."""
        self.progress.advance(self.task)
        if not self.progress.disable and time.monotonic() - self._shown >= 1.0:
            self._shown = time.monotonic()
            rate = _rate_of(self.model)
            values = {"loss": (logs or {})["loss"], **self._penalty, "lr": rate}
            note = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
            self.progress.update(self.task, note=note)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the epoch's accuracies and penalty."""
        logs = logs or {}
        self._penalty = {"penalty": logs["penalty"]}
        shown = {"accuracy": "train", "val_accuracy": "val"}
        note = "  ".join(f"{label} {logs[key]:.1%}" for key, label in shown.items() if key in logs)
        self.progress.update(self.task, accuracy=note)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *failure: object) -> None:
        # Also after an error: a bar that is not stopped leaves the terminal without its cursor.
        self.progress.stop()


class RepetitionBar(keras.callbacks.Callback):
    """One line on the terminal for steps that are done again to see where they went wrong.

    Args:
        steps: How many there are.
        poll: Called after each; may raise.
        console: Where to; the process's error stream by default.
    """

    def __init__(self, steps: int, poll: Callable[[], None], console: Console | None = None):
        super().__init__()
        console = console or Console(stderr=True)
        self.poll = poll
        #: The mean loss of the steps that were last done in one go.
        self.loss = 0.0
        columns = (TextColumn("repeating"), BarColumn(bar_width=20), MofNCompleteColumn())
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self.task = self.progress.add_task("repeating", total=steps)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Advance by a step."""
        self.poll()
        self.loss = (logs or {})["loss"]
        self.progress.advance(self.task)

    def __enter__(self) -> RepetitionBar:
        self.progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.progress.stop()


def _rate_of(model: keras.Model) -> float:
    # Through NumPy, as a rate that several replicas hold is no number for Python.
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
