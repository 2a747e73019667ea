"""Suites: comparisons and the goals they are to reach, read from a TOML file and run in one go."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isozoo.benchmark.comparison import ROUNDS, WARM_UP, Comparison, run_tasks
from isozoo.benchmark.contenders import Contender
from isozoo.benchmark.measures import Settings, Task
from isozoo.benchmark.results import QUANTITIES, Ratio
from isozoo.benchmark.turns import WORKER
from isozoo.errors import BenchmarkError, unknown
from isozoo.files import atomic_write


@dataclasses.dataclass(frozen=True, kw_only=True)
class Goal:
    """How a subject is to compare with a rival of the same row.

    Args:
        title: What it says, in words.
        subject: Label of a contender; of several, the one that comes out best counts.
        rival: Label of another.
        of: `"speed"`, `"time"` or `"memory"`, see `Comparison.ratio`.
        at_least: The ratio's lower bound.
        at_most: The ratio's upper bound. With neither bound the ratio is only reported.
    """

    title: str
    subject: str | tuple[str, ...]
    rival: str
    of: str = "speed"
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        """Refuse a quantity that nothing measures, and two bounds."""
        if self.of not in QUANTITIES:
            raise unknown("quantity", self.of, QUANTITIES)
        if self.at_least is not None and self.at_most is not None:
            raise BenchmarkError(f"goal '{self.title}' has two bounds; give one")

    @property
    def subjects(self) -> tuple[str, ...]:
        """The labels of all subjects."""
        return (self.subject,) if isinstance(self.subject, str) else tuple(self.subject)

    def met(self, ratio: Ratio | None) -> bool | None:
        """Return whether a ratio reaches the goal; None if there is no bound.

        Example:
            >>> goal = Goal(title="fast", subject="a", rival="b", at_least=2.0)
            >>> goal.met(Ratio(2.1, 1.9, 2.3)), goal.met(None)
            (True, False)
        """
        if self.at_least is not None:
            return ratio is not None and ratio.median >= self.at_least
        if self.at_most is not None:
            return ratio is not None and ratio.median <= self.at_most
        return None

    def judge(self, comparison: Comparison) -> Verdict:
        """Return what a comparison says of the goal."""
        found = [(name, comparison.ratio(name, self.rival, self.of)) for name in self.subjects]
        measured = [(name, ratio) for name, ratio in found if ratio is not None]
        if not measured:
            return Verdict(self, found[0][0], None)
        best = min if self.at_most is not None else max
        return Verdict(self, *best(measured, key=lambda pair: pair[1].median))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured.

    Args:
        goal: The goal.
        subject: Label of the subject that came out best.
        ratio: Its ratio; None if a contender failed.
    """

    goal: Goal
    subject: str
    ratio: Ratio | None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None if it has no bound."""
        return self.goal.met(self.ratio)

    def to_json(self) -> dict[str, Any]:
        """Return the goal, the ratio and whether it is met."""
        return {
            **dataclasses.asdict(self.goal),
            "subject": self.subject,
            "subjects": list(self.goal.subjects),
            "ratio": self.ratio and self.ratio.to_json(),
            "met": self.met,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison of a suite.

    Args:
        key: A short name, by which documents find it.
        title: What it is about.
        measure: A key of `MEASURES`.
        contenders: Texts as `Contender.parse` reads them; or tables with `contender`, `label`,
            `measure` and settings of their own.
        against: Labels of the rivals.
        goals: What is to be reached.
        rounds: Rounds that count.
        warm_up: Rounds before them.
        settings: Settings of all contenders, see `Settings`.
    """

    key: str
    title: str
    measure: str
    contenders: tuple[str | Mapping[str, Any], ...]
    against: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    rounds: int = ROUNDS
    warm_up: int = WARM_UP
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def tasks(self, common: Mapping[str, Any]) -> list[Task]:
        """Return what the workers are asked.

        Args:
            common: Settings of the whole run, which go before the row's own.
        """
        tasks = [self._task(entry, common) for entry in self.contenders]
        labels = [task.label for task in tasks]
        for label in labels:
            if labels.count(label) > 1:
                raise BenchmarkError(f"row '{self.key}' names {label} twice; give one a label")
        for named in (*self.against, *(n for g in self.goals for n in (*g.subjects, g.rival))):
            if named not in labels:
                raise unknown(f"contender of row '{self.key}'", named, labels)
        return tasks

    def _task(self, entry: str | Mapping[str, Any], common: Mapping[str, Any]) -> Task:
        own = {"contender": entry} if isinstance(entry, str) else dict(entry)
        if "contender" not in own:
            raise BenchmarkError(f"row '{self.key}' has a table without 'contender': {own}")
        text = own.pop("contender")
        label, measure = own.pop("label", text), own.pop("measure", self.measure)
        settings = _build(Settings, {**self.settings, **own, **common}, f"row '{self.key}'")
        return Task(label, measure, Contender.parse(text), settings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    """Comparisons that are run one after the other.

    Args:
        title: What they show.
        rows: The comparisons.

    Raises:
        BenchmarkError: There are no rows, or two have the same key.
    """

    title: str
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Refuse rows that could not be told apart."""
        keys = [row.key for row in self.rows]
        if not keys or len(set(keys)) < len(keys):
            raise BenchmarkError(f"a suite needs [[rows]], each with a key of its own; got {keys}")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Suite:
        """Read a TOML file.

        Raises:
            BenchmarkError: It is not TOML, or a setting is missing or unknown.
            FileNotFoundError: There is no such file.
        """
        try:
            with open(path, "rb") as stream:
                return cls.from_dict(tomllib.load(stream))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BenchmarkError(f"{Path(path)} is not valid TOML: {error}") from error

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Suite:
        """Build a suite from nested tables, as TOML gives them."""
        rows = []
        for row in record.get("rows", ()):
            where = f"row '{row.get('key', len(rows) + 1)}'"
            goals = tuple(_build(Goal, goal, f"a goal of {where}") for goal in row.get("goals", ()))
            rows.append(_build(Row, {**row, "goals": goals}, where))
        return _build(cls, {**record, "rows": tuple(rows)}, "suite")


def run_suite(
    suite: Suite,
    *,
    data: str | None = None,
    backend: str | None = None,
    only: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    command: Sequence[str] = WORKER,
) -> dict[str, Any]:
    """Run the comparisons of a suite and judge its goals.

    Args:
        suite: See `Suite.read`.
        data: Folder or tar of `train/CLASS/*`, see `Settings`.
        backend: Backend of Keras.
        only: Keys of the rows to run; all if empty.
        out: File of JSON that is written anew after each row.
        command: The worker's program.

    Returns:
        The record: `title`, `date`, `machine`, and for each of `rows` its `key`, `title`,
        `comparison` (see `Comparison.from_json`) and `goals` (see `Verdict.to_json`).

    Raises:
        UnknownNameError: A row, contender or quantity is not known.
        BenchmarkError: A row cannot be measured. All are checked before the first is.
    """
    keys = [row.key for row in suite.rows]
    for key in only:
        if key not in keys:
            raise unknown("row", key, keys)
    common = {k: v for k, v in {"data": data, "backend": backend}.items() if v is not None}
    chosen = [(row, row.tasks(common)) for row in suite.rows if not only or row.key in only]
    record: dict[str, Any] = {
        "title": suite.title,
        "date": datetime.date.today().isoformat(),
        "machine": {},
        "rows": [],
    }
    for row, tasks in chosen:
        comparison = run_tasks(
            row.title,
            tasks,
            row.against,
            rounds=row.rounds,
            warm_up=row.warm_up,
            command=command,
        )
        record["machine"] = record["machine"] or comparison.machine
        goals = [goal.judge(comparison).to_json() for goal in row.goals]
        record["rows"].append(
            {
                "key": row.key,
                "title": row.title,
                "comparison": comparison.to_json(),
                "goals": goals,
            }
        )
        if out is not None:
            atomic_write(out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def _build(cls: Any, settings: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass, every key known and none missing; lists become tuples."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in settings:
        if key not in fields:
            raise BenchmarkError(str(unknown(f"setting in {where}", key, fields)))
    missing = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING and name not in settings
    ]
    if missing:
        raise BenchmarkError(f"{where} lacks {', '.join(missing)}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
