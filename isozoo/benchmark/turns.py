"""Contenders in processes of their own, which take turns."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, cast

from isozoo.benchmark.measures import Task
from isozoo.benchmark.results import Result
from isozoo.errors import BenchmarkError

WORKER = (sys.executable, "-m", "isozoo.benchmark.worker")
#: What workers are told unless the user says otherwise. All contenders are in memory at the same
#: time, and by themselves TensorFlow and JAX would each take the whole GPU.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
#: Longest time in seconds that a worker may take for one answer; exporting and calibrating count.
PATIENCE = 900.0
#: Seconds before each repetition, in which the threads of the one before come to rest.
PAUSE = 0.05
#: Seconds that a worker may take to end by itself.
FAREWELL = 10.0
#: Lines of a dead worker's stderr that are reported.
LAST_LINES = 5


class Worker:
    """The process of one contender.

    Args:
        task: What it times.
        command: The program that speaks the worker's protocol.
        patience: Longest time in seconds for one answer.

    Raises:
        BenchmarkError: By every method: the process has ended, or was ended because it did not
            answer; with the last lines that it wrote to stderr.
    """

    def __init__(self, task: Task, command: Sequence[str] = WORKER, patience: float = PATIENCE):
        self.task = task
        self._patience = patience
        self._stack = contextlib.ExitStack()
        self._stderr = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        backend = task.settings.backend
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            env={
                **ENVIRONMENT,
                **os.environ,
                **({"KERAS_BACKEND": backend} if backend else {}),
            },
        )
        self._requests = cast(IO[str], self._process.stdin)
        self._answers = cast(IO[str], self._process.stdout)

    def prepare(self) -> dict[str, Any]:
        """Let it prepare; return the items of one repetition and the size of the images."""
        return self._ask({"do": "prepare", "task": self.task.to_json()})

    def repeat(self) -> float:
        """Let it do its work once; return the seconds."""
        return self._ask({"do": "repeat"})["seconds"]

    def report(self) -> dict[str, Any]:
        """Return the peak of its memory, its device and the versions it loaded."""
        return self._ask({"do": "report"})

    def end(self) -> None:
        """End the process, whatever it does."""
        with self._stack, self._process:
            # At the end of its requests it leaves by itself, and takes its temporary files along.
            with contextlib.suppress(BrokenPipeError):
                self._requests.close()
            try:
                self._process.wait(FAREWELL)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        timer = threading.Timer(self._patience, self._process.kill)
        timer.start()
        start = time.monotonic()
        try:
            print(json.dumps(request), file=self._requests, flush=True)
            line = self._answers.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        late = time.monotonic() - start >= self._patience
        if late:
            raise BenchmarkError(f"no answer to '{request['do']}' in {self._patience:g} s")
        raise BenchmarkError(self._last_words())

    def _last_words(self) -> str:
        code = self._process.wait()
        self._stderr.seek(0)
        text = self._stderr.read().decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"ended with code {code}: " + (" | ".join(lines[-LAST_LINES:]) or "without a word")


class Turn:
    """A worker and what it has measured so far; one that failed takes no more turns."""

    def __init__(self, task: Task):
        self.task = task
        self.prepared: dict[str, Any] = {}
        self.first: float | None = None
        self.seconds: list[float] = []
        self.report: dict[str, Any] = {}
        self.error: str | None = None

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Note the failure of the worker."""
        try:
            yield
        except BenchmarkError as error:
            self.error = str(error)

    def result(self) -> Result:
        """Return what was measured; of one that failed, nothing but why."""
        about = (self.task.label, self.task.measure, self.task.unit.name)
        if self.error is not None:
            return Result(*about, error=self.error)
        return Result(
            *about,
            items=self.prepared["items"],
            image_size=self.prepared["image_size"],
            first=self.first,
            seconds=tuple(self.seconds),
            peak=self.report["peak"],
            device=self.report["device"],
            versions=self.report["versions"],
        )


def take_turns(
    tasks: Sequence[Task],
    rounds: int,
    warm_up: int,
    *,
    command: Sequence[str] = WORKER,
    patience: float = PATIENCE,
    tick: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Let contenders take turns, one repetition each in every round.

    Each round begins with the contender after the one that the round before began with, so that
    none of them always follows the same other.

    Args:
        tasks: The contenders; all are in memory at the same time.
        rounds: Rounds that count, at least 1.
        warm_up: Rounds before them, beside the first repetition, which is timed apart.
        command: The worker's program.
        patience: Longest time in seconds for one answer.
        tick: Called after each of the `steps(...)` steps.

    Returns:
        The results, in the order of the tasks.
    """
    with contextlib.ExitStack() as stack:
        workers: list[tuple[Worker, Turn]] = []
        for task in tasks:
            worker, turn = Worker(task, command, patience), Turn(task)
            stack.callback(worker.end)
            workers.append((worker, turn))
            with turn.failing():
                turn.prepared = worker.prepare()
                turn.first = worker.repeat()
            tick()
        for number in range(-warm_up, rounds):
            for worker, turn in _rotated(workers, number):
                if turn.error is None:
                    time.sleep(PAUSE)
                    with turn.failing():
                        seconds = worker.repeat()
                        turn.seconds += [seconds] if number >= 0 else []
            tick()
        for worker, turn in workers:
            if turn.error is None:
                with turn.failing():
                    turn.report = worker.report()
        return [turn.result() for _, turn in workers]


def steps(tasks: Sequence[Task], rounds: int, warm_up: int) -> int:
    """Return how many steps `take_turns` makes."""
    return len(tasks) + warm_up + rounds


def _rotated(items: list, number: int) -> list:
    start = number % len(items)
    return items[start:] + items[:start]
