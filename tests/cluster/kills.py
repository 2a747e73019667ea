"""Two workers of this machine, one of which is killed again and again: what it costs, and changes.

    python -m tests.cluster.kills 20 --out benchmarks/results/recovery.json

Each time the other worker ends by itself or is ended, as launchers do, and both are started again.
The processes are forked from one that has imported TensorFlow, so imports are not in the numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import math
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from isozoo.benchmark.machine import machine, versions
from isozoo.cluster.local import environments
from isozoo.files import atomic_write
from tests.training.killed import Attempt
from tests.training.test_kill import RECIPE as RECIPE_OF_ONE
from tests.training.test_kill import what_came_of, whole_checkpoints

RECIPE = RECIPE_OF_ONE.replace("epochs = 3", "epochs = 2")
NAME = "r-isonet-8.killed"
#: Steps of an epoch; a run has four.
STEPS = 20
#: Seconds that the worker which is left may take to end by itself.
PATIENCE = 5.0


def write_data(folder: Path) -> None:
    """Write a recipe and the pictures of two classes, told apart by their colour."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 2 * STEPS), ("val", 4)):
        for channel, name in enumerate(("red", "green")):
            (folder / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 90, (18, 20, 3), np.uint8)
                pixels[4:12, 4:12, channel] += 150
                Image.fromarray(pixels).save(folder / "data" / split / name / f"{number}.png")
    (folder / "recipe.toml").write_text(RECIPE)


def assert_same_run(run: Path, expected: Path) -> None:
    """Check that two finished runs have the same weights to the bit, and the same log.

    The means of an epoch that was begun by other processes may differ in the last bit: what was
    summed before is divided among the workers anew, and added up in another order.
    """
    (weights, log), (expected_weights, expected_log) = what_came_of(run), what_came_of(expected)
    assert weights == expected_weights, "the weights are not those of the undisturbed run"
    for row, other in zip(log, expected_log, strict=True):
        assert row.keys() == other.keys()
        for key, value in other.items():
            assert math.isclose(row[key], value, rel_tol=1e-6), f"{key}: {row[key]}, {value}"


class Group:
    """Two workers that train together.

    Args:
        folder: Where `write_data` wrote.
        out: Name of the folder of runs in it.
    """

    def __init__(self, folder: Path, out: str):
        self.workers = [
            Attempt(folder / "recipe.toml", folder / "data", folder / out, "multiworker", variables)
            for variables in environments(2)
        ]

    def next_step(self) -> tuple[float, tuple[int, int]]:
        """Wait for a step of both; return when, and the position after it."""
        (seconds, position), _ = [worker.next_step() for worker in self.workers]
        return self.workers[0].start + seconds, position

    def kill(self, index: int, seconds: float) -> float | None:
        """Kill one in some seconds; return after how many the other ended, None if not."""
        self.workers[index].kill_after(seconds)
        left = self.workers[1 - index]
        start = time.monotonic()
        left.process.join(PATIENCE)
        ended = left.process.exitcode is not None
        left.kill_after(0)
        return time.monotonic() - start if ended else None

    def finish(self) -> None:
        """Wait for the end of both."""
        for worker in self.workers:
            worker.finish()


def kill_workers(folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill one of two workers at random moments of a run; return what was measured.

    Args:
        folder: An empty folder.
        kills: How often.
        seed: Of the moments.

    Raises:
        AssertionError: A checkpoint is damaged, a step was lost that had been saved, or the weights
            are not to the bit those of a run that nothing disturbed, or the log is another.
    """
    write_data(folder)
    begun = time.monotonic()
    whole = Group(folder, "whole")
    starting = whole.next_step()[0] - begun
    whole.finish()
    moments, run = random.Random(seed), folder / "killed" / NAME
    killed: float | None = None
    recoveries, alone, positions = [], [], [(0, 0)]
    numbers = range(kills)
    console = Console(stderr=True)
    for kill in track(numbers, "Killing", console=console, disable=not console.is_terminal):
        group = Group(folder, "killed")
        if kill % 4 == 1:
            # While they start: meet, read the checkpoint, build the network, compile the step.
            wait = moments.uniform(0, starting / 2)
        else:
            when, position = group.next_step()
            positions.append(position)
            if killed is not None:
                recoveries.append(when - killed)
            # While they train, save, validate. Counted in steps, so that some are left at the end.
            for _ in range(moments.randrange(6)):
                group.next_step()
            wait = moments.uniform(0, 0.5)
        ended = group.kill(moments.randrange(2), wait)
        killed = time.monotonic()
        if kill % 4 != 1:
            alone.append(ended)
        whole_checkpoints(run / "checkpoints")
    last = Group(folder, "killed")
    when, position = last.next_step()
    recoveries.append(when - (killed or begun))
    with contextlib.suppress(EOFError):
        while True:
            last.next_step()
    last.finish()
    assert whole_checkpoints(run / "checkpoints") == 2
    # Each group went on from where another had saved, never from further back.
    assert [*positions, position] == sorted([*positions, position])
    assert_same_run(run, folder / "whole" / NAME)
    by_themselves = [seconds for seconds in alone if seconds is not None]
    return {
        "workers": 2,
        "kills": kills,
        "steps": 4 * STEPS,
        "start_seconds": round(starting, 2),
        "recovery_seconds": [round(seconds, 2) for seconds in recoveries],
        "recovery_median": round(statistics.median(recoveries), 2),
        "kills_while_training": len(alone),
        "patience": PATIENCE,
        "ended_by_themselves": len(by_themselves),
        "ended_after_seconds": [round(seconds, 2) for seconds in by_themselves],
        "unreadable_checkpoints": 0,
        "bit_equal": True,
    }


def main() -> None:
    """Kill from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", type=int)
    parser.add_argument("--out", type=Path, required=True, help="write the result as JSON here")
    args = parser.parse_args()
    about = {"date": datetime.date.today().isoformat(), "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        found = kill_workers(Path(folder), args.kills)
    result = {**about, "versions": versions(), **found}
    atomic_write(args.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
