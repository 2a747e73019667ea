"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from isozoo.errors import RecipeError
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.interrupt import RunBusyError

_LOG = logging.getLogger(__name__)

#: Seconds that a run which goes on waits for the process before it to end.
PATIENCE = 30.0


@contextlib.contextmanager
def locked(directory: Path, workers: Strategy, resume: bool) -> Iterator[None]:
    """Keep other runs out of a folder; the lock goes with the process, however that ends.

    The chief holds it, and all workers have to come here. It is flock's, so the file system has to
    have that, over all machines on which a run may be started.

    Args:
        directory: Folder of the run.
        workers: Who trains.
        resume: Whether to wait for `PATIENCE` seconds: the process before may be about to end.

    Raises:
        RecipeError: Another process trains there, and this run is not one to go on.
        RunBusyError: It still does so after the wait.
    """
    with contextlib.ExitStack() as stack:
        workers.decide(lambda: _acquire(stack, directory, PATIENCE if resume else 0.0))
        yield


def _acquire(stack: contextlib.ExitStack, directory: Path, seconds: float) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, which holds what is left of a run and nothing else.
    lock = FileLock(directory.with_name(f".{directory.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not seconds:
            raise RecipeError(
                f"another process is training in {directory}; wait for it, stop it, or give "
                "another --out"
            ) from None
        _LOG.warning(
            "another process is training in %s; waiting %g s for it to end", directory, seconds
        )
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            raise RunBusyError(
                f"another process was still training in {directory} after {seconds:g} s; wait for "
                "it or stop it, and repeat the command"
            ) from None
    stack.callback(lock.release)
