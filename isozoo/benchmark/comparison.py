"""Contenders against rivals, measured in one run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress

from isozoo.benchmark.contenders import Contender
from isozoo.benchmark.machine import machine
from isozoo.benchmark.measures import Settings, Task
from isozoo.benchmark.results import QUANTITIES, Ratio, Result
from isozoo.benchmark.turns import WORKER, steps, take_turns
from isozoo.errors import BenchmarkError, unknown

ROUNDS = 9
WARM_UP = 2


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What one run measured.

    Args:
        title: What it is about.
        results: One for each contender, in the order they were named.
        against: Labels of those that the others are compared with.
        rounds: Rounds that count.
        warm_up: Rounds before them.
        settings: What all contenders had in common, see `Settings`.
        machine: Where it was run.
    """

    title: str
    results: tuple[Result, ...]
    against: tuple[str, ...] = ()
    rounds: int = ROUNDS
    warm_up: int = WARM_UP
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    machine: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def result(self, label: str) -> Result:
        """Return what was measured of one contender.

        Raises:
            UnknownNameError: There is none of that label.
        """
        for result in self.results:
            if result.label == label:
                return result
        raise unknown("contender", label, [result.label for result in self.results])

    def ratio(self, subject: str, rival: str, of: str = "speed") -> Ratio | None:
        """Return a subject over its rival, in pairs of the same round.

        Args:
            subject: Label of a contender.
            rival: Label of another.
            of: `"speed"`, how many times as fast; `"time"`, the inverse; or `"memory"`, of the
                peak.

        Returns:
            The median over the rounds and the range; None if one of them failed.

        Raises:
            UnknownNameError: There is no such contender or quantity.
        """
        if of not in QUANTITIES:
            raise unknown("quantity", of, QUANTITIES)
        return QUANTITIES[of](self.result(subject), self.result(rival))

    @property
    def failures(self) -> list[Result]:
        """The contenders that failed."""
        return [result for result in self.results if result.error]

    def to_json(self) -> dict[str, Any]:
        """Return the record that `from_json` reads, with the ratios of speed that follow."""
        ratios = {
            rival: {
                result.label: ratio and ratio.to_json()
                for result in self.results
                if result.label != rival
                for ratio in [self.ratio(result.label, rival)]
            }
            for rival in self.against
        }
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **fields,
            "against": list(self.against),
            "results": [result.to_json() for result in self.results],
            "ratios": ratios,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Comparison:
        """Return what `to_json` recorded."""
        fields = {field.name: record[field.name] for field in dataclasses.fields(cls)}
        results = tuple(Result.from_json(result) for result in fields["results"])
        return cls(**{**fields, "results": results, "against": tuple(fields["against"])})


def compare(
    measure: str,
    contenders: Iterable[str],
    against: Iterable[str] = (),
    *,
    settings: Settings | None = None,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    command: Sequence[str] = WORKER,
) -> Comparison:
    """Time contenders and rivals, each in a process of its own, in turns.

    Args:
        measure: A key of `MEASURES`: `"inference"`, `"training"`, `"penalty"`, `"input"` or
            `"first"`.
        contenders: Texts as `Contender.parse` reads them.
        against: Rivals, likewise; every contender is compared with each of them.
        settings: Batch and image size, data and backend; see `Settings`.
        rounds: Rounds that count, at least 1.
        warm_up: Rounds before them, at least 0.
        command: The worker's program.

    Returns:
        Medians, spread, peak memory and ratios. A contender that fails is among the results, with
        the reason.

    Raises:
        UnknownNameError: There is no such measure, network or variant.
        BenchmarkError: A contender cannot be timed so, a setting is missing or out of its range, or
            nobody was named.
        FileNotFoundError: A rival's file is not there.
    """
    settings, rivals = settings or Settings(), tuple(dict.fromkeys(against))
    labels = dict.fromkeys([*contenders, *rivals])
    tasks = [Task(label, measure, Contender.parse(label), settings) for label in labels]
    return run_tasks(measure, tasks, rivals, rounds=rounds, warm_up=warm_up, command=command)


def run_tasks(
    title: str,
    tasks: Sequence[Task],
    against: Sequence[str] = (),
    *,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    command: Sequence[str] = WORKER,
) -> Comparison:
    """Let tasks take turns, with a progress bar where a person waits.

    Args:
        title: What the comparison is about.
        tasks: At least one, all told in one unit; the settings noted are those of the first.
        against: Labels of the rivals among them.
        rounds: As for `compare`.
        warm_up: As for `compare`.
        command: As for `compare`.

    Returns:
        The comparison.

    Raises:
        BenchmarkError: There is no task, they are not told in one unit, or a number is out of its
            range.
    """
    if rounds < 1 or warm_up < 0:
        raise BenchmarkError(
            f"rounds must be at least 1 and warm_up at least 0, got {rounds} and {warm_up}"
        )
    if not tasks:
        raise BenchmarkError(f"{title}: nobody to time; name at least one network")
    units = sorted({task.unit.name for task in tasks})
    if len(units) > 1:
        raise BenchmarkError(f"{title}: {' and '.join(units)} cannot be compared")
    about, console = machine(), Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar:
        step = bar.add_task(title, total=steps(tasks, rounds, warm_up))
        results = take_turns(
            tasks, rounds, warm_up, command=command, tick=lambda: bar.advance(step)
        )
    common = dataclasses.asdict(tasks[0].settings)
    # Where the pictures lie is the user's own affair; that there were any is not.
    common["data"] = os.path.basename(common["data"]) if common["data"] else None
    return Comparison(title, tuple(results), tuple(against), rounds, warm_up, common, about)
