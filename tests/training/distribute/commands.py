"""Commands that run at once in processes of their own, as several workers do.

The processes are forked from a server that has imported TensorFlow and computed nothing.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection

# Imported here so that the server has them.
import isozoo.data.pipeline
import isozoo.training.distribute.on_tensorflow
import isozoo.training.loop
from isozoo.cli import main
from isozoo.training.recovery import Tracker

assert isozoo.data.pipeline
assert isozoo.training.distribute.on_tensorflow
assert isozoo.training.loop

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    signal_at: tuple[int, int] | None,
    told: Connection,
) -> None:
    """Run a command of isozoo; tell of each position of a training, then of the exit code.

    And last of what it wrote to its error stream.

    Args:
        arguments: Of the command.
        environment: Variables that are set.
        signal_at: Position in whose step the process sends itself SIGTERM.
        told: Where to.
    """
    os.environ.update(environment)
    count = Tracker.on_train_batch_end

    def count_and_tell(self, batch, logs=None):
        count(self, batch, logs)
        told.send(tuple(self.position))
        if self.position == signal_at:
            signal.raise_signal(signal.SIGTERM)

    Tracker.on_train_batch_end = count_and_tell
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        code = main(list(arguments))
    told.send(code)
    told.send(errors.getvalue())


class Command:
    """A command of isozoo in a process of its own; the arguments are those of `run`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        signal_at: tuple[int, int] | None = None,
    ):
        self._told, told = CONTEXT.Pipe(duplex=False)
        settings = (arguments, dict(environment), signal_at, told)
        self.process = CONTEXT.Process(target=run, args=settings)
        self.process.start()
        told.close()

    def next(self, seconds: float = 300.0) -> tuple[int, int] | int:
        """Return the next position, or the exit code.

        Raises:
            EOFError: The process has ended.
        """
        assert self._told.poll(seconds), "the process hangs"
        return self._told.recv()

    def finish(self) -> tuple[list[tuple[int, int]], int]:
        """Wait for the end; return the positions that were not asked for, and the exit code.

        What it wrote to its error stream is in `errors`.
        """
        positions = []
        while isinstance(found := self.next(), tuple):
            positions.append(found)
        self.errors = self._told.recv()
        self.process.join()
        return positions, found
