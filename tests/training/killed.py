"""Training in processes of their own, which a test kills.

The processes are forked from a server that has imported TensorFlow and computed nothing: they are
as separate as any, and start in a moment.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import types
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

# Imported here so that the server has them.
import isozoo.data.pipeline
import isozoo.training.evaluation
from isozoo.training import loop
from isozoo.training.recovery import Tracker

assert isozoo.data.pipeline
assert isozoo.training.evaluation


def train_once(
    recipe: Path, data: Path, runs: Path, steps: Connection, strategy: str, told: Mapping[str, str]
) -> None:
    """Train from the newest checkpoint on, saving after each step; tell of each step."""
    os.environ.update(told)
    count = Tracker.on_train_batch_end

    def count_and_tell(self, batch, logs=None):
        count(self, batch, logs)
        steps.send((time.monotonic(), tuple(self.position)))

    Tracker.on_train_batch_end = count_and_tell
    loop.train(recipe, data, runs, resume=True, checkpoint_minutes=1e-9, strategy=strategy)


class Attempt:
    """One process that trains.

    Args:
        recipe: The recipe.
        data: The data.
        runs: Folder of the runs.
        strategy: What trains.
        environment: Variables that this process alone has.
    """

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])

    def __init__(
        self,
        recipe: Path,
        data: Path,
        runs: Path,
        strategy: str = "one",
        environment: Mapping[str, str] = types.MappingProxyType({}),
    ):
        self._told, told = self.context.Pipe(duplex=False)
        settings = (recipe, data, runs, told, strategy, dict(environment))
        self.process = self.context.Process(target=train_once, args=settings)
        self.start = time.monotonic()
        self.process.start()
        told.close()

    def next_step(self) -> tuple[float, tuple[int, int]]:
        """Wait for a step; return the seconds from the start until then and the position after it.

        Raises:
            EOFError: The process has ended.
        """
        when, position = self._told.recv()
        return when - self.start, position

    def kill_after(self, seconds: float) -> None:
        """Kill the process with SIGKILL, some seconds from now."""
        time.sleep(seconds)
        self.process.kill()
        self.process.join()

    def finish(self) -> float:
        """Wait for the end; return the seconds since the start."""
        self.process.join()
        assert self.process.exitcode == 0, f"training ended with {self.process.exitcode}"
        return time.monotonic() - self.start
