"""Goals: how one contender is to compare with another, and what was measured of that."""

from __future__ import annotations

import dataclasses
from typing import Any

from isozoo.benchmark.comparison import Comparison
from isozoo.benchmark.results import QUANTITIES, Ratio
from isozoo.errors import BenchmarkError, unknown

Labels = str | tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Goal:
    """How a subject is to compare with a rival of the same row.

    Args:
        title: What it says, in words.
        subject: Label of a contender; of several, the one that comes out best counts.
        rival: Label of another; of several, the one that is hardest to beat counts.
        of: `"speed"`, `"time"` or `"memory"`, see `Comparison.ratio`.
        at_least: The ratio's lower bound.
        at_most: The ratio's upper bound. With neither bound the ratio is only reported.
    """

    title: str
    subject: Labels
    rival: Labels
    of: str = "speed"
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        """Refuse a quantity that nothing measures, nobody to compare, and two bounds."""
        if self.of not in QUANTITIES:
            raise unknown("quantity", self.of, QUANTITIES)
        if not self.subjects or not self.rivals:
            raise BenchmarkError(f"goal '{self.title}' needs at least one subject and one rival")
        if self.at_least is not None and self.at_most is not None:
            raise BenchmarkError(f"goal '{self.title}' has two bounds; give one")

    @property
    def subjects(self) -> tuple[str, ...]:
        """The labels of all subjects."""
        return _several(self.subject)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The labels of all rivals."""
        return _several(self.rival)

    @property
    def bounded(self) -> bool:
        """Whether there is something to reach."""
        return self.at_least is not None or self.at_most is not None

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
        """Return what a comparison says of the goal.

        Raises:
            UnknownNameError: It has no contender of a name.
        """
        names = (*self.subjects, *self.rivals)
        failed = tuple(name for name in names if comparison.result(name).error is not None)
        measured: list[tuple[str, str, Ratio]] = []
        # Of speed the larger ratio is the better one; of time and memory the smaller.
        best, worst = (max, min) if self.of == "speed" else (min, max)
        for subject in self.subjects:
            ratios = [(r, comparison.ratio(subject, r, self.of)) for r in self.rivals]
            found = [(subject, rival, ratio) for rival, ratio in ratios if ratio is not None]
            if found:
                measured.append(worst(found, key=_median))
        if not measured:
            return Verdict(self, self.subjects[0], self.rivals[0], None, failed)
        return Verdict(self, *best(measured, key=_median), failed)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured.

    Args:
        goal: The goal.
        subject: Label of the subject that came out best.
        rival: Label of the rival that was hardest to beat.
        ratio: One over the other; None if nothing could be compared.
        failed: Labels of the subjects and rivals that failed.
    """

    goal: Goal
    subject: str
    rival: str
    ratio: Ratio | None
    failed: tuple[str, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None if it has no bound.

        It is not where a rival failed, which might have been the one that is hardest to beat.
        """
        if self.goal.bounded and set(self.failed) & set(self.goal.rivals):
            return False
        return self.goal.met(self.ratio)

    def to_json(self) -> dict[str, Any]:
        """Return the goal, who counted, the ratio and whether it is met."""
        return {
            **dataclasses.asdict(self.goal),
            "subject": self.subject,
            "subjects": list(self.goal.subjects),
            "rival": self.rival,
            "rivals": list(self.goal.rivals),
            "ratio": self.ratio and self.ratio.to_json(),
            "met": self.met,
            "failed": list(self.failed),
        }


def _several(labels: Labels) -> tuple[str, ...]:
    return (labels,) if isinstance(labels, str) else tuple(labels)


def _median(found: tuple[str, str, Ratio]) -> float:
    return found[2].median
