"""The process of one contender: ``python -m isozoo.benchmark.worker``, JSON lines in and out.

It is asked, in this order, to ``prepare`` a task, to ``repeat`` it any number of times, and to
``report``. Each answer is one line. What goes wrong is left to end the process: the reason is then
the last thing on stderr.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from isozoo.benchmark.machine import device, peak_memory, versions
from isozoo.benchmark.measures import MEASURES, Task
from isozoo.errors import BenchmarkError, IsozooError


@dataclasses.dataclass(frozen=True)
class Work:
    """What is repeated.

    Args:
        repeat: Does it once, and returns when the result is there.
        items: Images, or whatever is counted, in one repetition.
        image_size: Side of the images in pixels, where there are any and it is known.
        peak: Returns the most memory in bytes that it took.
        device: Returns what it computes on, `"cpu"` or `"gpu"`; None if another process does.
    """

    repeat: Callable[[], Any]
    items: int = 1
    image_size: int | None = None
    peak: Callable[[], int] = peak_memory
    device: Callable[[], str | None] = device


def prepare(task: Task) -> Work:
    """Return the work of a task, by its measure and the source of its contender."""
    module, _, function = MEASURES[task.measure].work[task.contender.source].partition(":")
    return getattr(importlib.import_module(module), function)(task)


def serve(requests: Iterable[str], answers: IO[str]) -> None:
    """Answer requests until there are no more.

    Args:
        requests: Lines of JSON; `do` says what is asked.
        answers: Where one line of JSON is written for each.
    """
    work = None
    for line in requests:
        request = json.loads(line)
        if request["do"] == "prepare":
            work = prepare(Task.from_json(request["task"]))
            answer: Mapping[str, Any] = {"items": work.items, "image_size": work.image_size}
        elif work is None:
            raise BenchmarkError(f"asked to {request['do']} before there was anything prepared")
        elif request["do"] == "repeat":
            start = time.perf_counter()
            work.repeat()
            # In whole microseconds, so that what is written down comes to the same ratios.
            answer = {"seconds": round(time.perf_counter() - start, 6)}
        else:
            answer = {"peak": work.peak(), "device": work.device(), "versions": versions()}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serve on stdin and stdout."""
    # Libraries that print must not come between the answers: their stdout becomes stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        serve(sys.stdin, answers)
    except IsozooError as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
