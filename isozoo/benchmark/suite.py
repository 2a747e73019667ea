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

from isozoo.benchmark.comparison import ROUNDS, WARM_UP, run_tasks
from isozoo.benchmark.contenders import Contender
from isozoo.benchmark.goals import Goal
from isozoo.benchmark.machine import machine
from isozoo.benchmark.measures import Settings, Task
from isozoo.benchmark.turns import WORKER
from isozoo.errors import BenchmarkError, check_fields, unknown
from isozoo.files import atomic_write

#: What rows of one file have in common of the machine they were measured on.
SAME = ("processor", "cores", "system", "python")


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

    @property
    def labels(self) -> list[str]:
        """What the results of the contenders are called, in order."""
        tables = [{"contender": c} if isinstance(c, str) else c for c in self.contenders]
        return [table.get("label", table.get("contender", "")) for table in tables]

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
        goals = (name for goal in self.goals for name in (*goal.subjects, *goal.rivals))
        for named in (*self.against, *goals):
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
        out: File of JSON that is written anew after each row. With `only`, a file of this suite
            that is there keeps its other rows.
        command: The worker's program.

    Returns:
        The record: `title`, `machine`, and for each of `rows` its `key`, `title`, `date`,
        `comparison` (see `Comparison.from_json`) and `goals` (see `Verdict.to_json`).

    Raises:
        UnknownNameError: A row, contender or quantity is not known.
        BenchmarkError: A row cannot be measured, or the file is of another suite or machine. All is
            checked before the first row is measured.
    """
    keys = [row.key for row in suite.rows]
    for key in only:
        if key not in keys:
            raise unknown("row", key, keys)
    common = {k: v for k, v in {"data": data, "backend": backend}.items() if v is not None}
    chosen = [(row, row.tasks(common)) for row in suite.rows if not only or row.key in only]
    about = machine()
    kept = _kept(out, suite, about) if only and out is not None else {}
    record: dict[str, Any] = {}
    measured: dict[str, dict[str, Any]] = {}
    for row, tasks in chosen:
        measured[row.key] = _measure(row, tasks, command)
        found = {**kept, **measured}
        rows = [found[key] for key in keys if key in found]
        record = {"title": suite.title, "machine": about, "rows": rows}
        if out is not None:
            atomic_write(out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return {**record, "rows": list(measured.values())}


def _measure(row: Row, tasks: Sequence[Task], command: Sequence[str]) -> dict[str, Any]:
    comparison = run_tasks(
        row.title,
        tasks,
        row.against,
        rounds=row.rounds,
        warm_up=row.warm_up,
        command=command,
    )
    return {
        "key": row.key,
        "title": row.title,
        "date": datetime.date.today().isoformat(),
        "comparison": comparison.to_json(),
        "goals": [goal.judge(comparison).to_json() for goal in row.goals],
    }


def _kept(
    out: str | os.PathLike[str], suite: Suite, about: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the rows of an earlier run that a run of some rows is put beside."""
    path = Path(out)
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        same = {key: record["machine"][key] for key in SAME} == {key: about[key] for key in SAME}
        rows, title = {row["key"]: row for row in record["rows"]}, record["title"]
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path} is there and is no result of a suite ({error!r})") from error
    if title != suite.title or not same:
        raise BenchmarkError(
            f"{path} has results of '{title}' on {record['machine']['processor']}, beside which "
            f"those of '{suite.title}' on {about['processor']} have no place; choose another file"
        )
    return rows


def _build(cls: Any, settings: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass, every key known and none missing; lists become tuples."""
    check_fields(cls, settings, where, BenchmarkError)
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
