"""A progress bar of a run that other processes do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from isozoo.models.provenance import read_log

#: Seconds between two looks at the log.
EVERY = 2.0


class EpochBar:
    """Within a `with` block, one line on the terminal that follows the log of a run.

    It shows finished epochs and the last one's accuracies; nothing where there is no terminal.

    Args:
        log: The run's `log.jsonl`, there or not yet.
        epochs: Epochs of the run.
        console: Where to; the process's error stream by default.
    """

    def __init__(self, log: Path, epochs: int, console: Console | None = None):
        console = console or Console(stderr=True)
        self._log = log
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._progress = Progress(
            TextColumn("epochs"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("epochs", total=epochs, note="")

    def __enter__(self) -> EpochBar:
        if not self._progress.disable:
            self._progress.start()
            self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        if self._thread.ident is not None:
            self._ended.set()
            self._thread.join()
            self._look()
            self._progress.stop()

    def _follow(self) -> None:
        while not self._ended.wait(EVERY):
            self._look()

    def _look(self) -> None:
        rows = read_log(self._log) if self._log.exists() else []
        self._progress.update(self._task, completed=len(rows), note=_note(rows[-1] if rows else {}))


def _note(row: dict[str, Any]) -> str:
    shown = {"accuracy": "train", "val_accuracy": "val"}
    return "  ".join(f"{label} {row[key]:.1%}" for key, label in shown.items() if key in row)
