"""A request from outside to stop, which training answers between two steps."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

from isozoo.errors import IsozooError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingInterrupted(IsozooError):
    """Training was told to stop and did; it can go on from its last checkpoint.

    Args:
        message: What to say.
        checkpoint: The folder of the checkpoint; None if there is none yet.
    """

    def __init__(self, message: str, checkpoint: Path | None):
        super().__init__(message)
        self.checkpoint = checkpoint

    def __reduce__(self) -> tuple:
        """Let it pass from one process to another."""
        return type(self), (str(self), self.checkpoint)


class RunBusyError(IsozooError):
    """Another process still trains in the folder of the run that is to go on; try again."""


class StopRequest:
    """Within a `with` block, turns SIGTERM and the first Ctrl-C into a note to be read.

    A Ctrl-C after either interrupts at once. Signals that the process was started to ignore stay
    ignored, and outside of the main thread, where Python takes no signals, nothing changes.

    Example:
        >>> with StopRequest() as request:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     request.signal
        'SIGTERM'
    """

    def __init__(self) -> None:
        #: Name of the signal that came first, or an empty string.
        self.signal = ""
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python and cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # pyright: ignore[reportArgumentType]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number).name
