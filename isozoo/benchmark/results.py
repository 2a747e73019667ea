"""What was measured of one contender, and how two of them compare."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from isozoo.benchmark.measures import UNITS, Unit

MEBIBYTE = 2**20


@dataclasses.dataclass(frozen=True)
class Result:
    """The measurements of one contender, or why there are none.

    Args:
        label: What it is called in tables.
        measure: A key of `MEASURES`.
        unit: A key of `UNITS`.
        items: Images, or whatever is counted, in one repetition.
        image_size: Side of the images in pixels, where there are any and it is known.
        first: Seconds of the first repetition, in which networks are traced and compiled.
        seconds: Of each counted repetition, one for each round.
        peak: Most memory in bytes that its process held.
        device: What it computed on, `"cpu"` or `"gpu"`; None if a process of its own did.
        versions: Of the libraries that it loaded.
        error: Why it failed, else None.
    """

    label: str
    measure: str
    unit: str
    items: int = 1
    image_size: int | None = None
    first: float | None = None
    seconds: tuple[float, ...] = ()
    peak: int | None = None
    device: str | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    error: str | None = None

    @property
    def _told(self) -> Unit:
        return UNITS[self.unit]

    @property
    def values(self) -> list[float]:
        """Each round in the unit, in order."""
        return [self._told.value(seconds / self.items) for seconds in self.seconds]

    @property
    def median(self) -> float | None:
        """Median over the rounds in the unit; None if it failed."""
        return statistics.median(self.values) if self.seconds else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        """Lower and upper quartile over the rounds in the unit."""
        if not self.seconds:
            return None
        if len(self.seconds) == 1:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest over the rounds in the unit."""
        return (min(self.values), max(self.values)) if self.seconds else None

    @property
    def mebibytes(self) -> float | None:
        """Most memory that its process held."""
        return None if self.peak is None else self.peak / MEBIBYTE

    def to_json(self) -> dict[str, Any]:
        """Return the record that `from_json` reads, with the figures that follow from it."""
        record = dataclasses.asdict(self)
        record["seconds"] = list(self.seconds)
        derived = {
            "median": self.median,
            "quartiles": self.quartiles,
            "range": self.range,
            "mebibytes": self.mebibytes,
        }
        return {**record, **{name: rounded(value) for name, value in derived.items()}}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Result:
        """Return what `to_json` recorded."""
        fields = {field.name: record[field.name] for field in dataclasses.fields(cls)}
        return cls(**{**fields, "seconds": tuple(fields["seconds"])})


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A subject over its rival: the median over the rounds, and the range.

    Example:
        >>> ratio_of([0.5, 0.4, 0.5], [1.0, 1.2, 1.5])
        Ratio(median=3.0, low=2.0, high=3.0)
    """

    median: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return the three numbers by their names."""
        return {name: rounded(value) for name, value in dataclasses.asdict(self).items()}


def ratio_of(subject: list[float], rival: list[float]) -> Ratio:
    """Return how many times the rival's seconds hold the subject's, round by round."""
    pairs = [b / a for a, b in zip(subject, rival, strict=True)]
    # Rounded so that equal measurements give equal texts, and 1/3 * 3 is 1.
    return Ratio(*(round(f(pairs), 6) for f in (statistics.median, min, max)))


def _speed(subject: Result, rival: Result) -> Ratio | None:
    if not subject.seconds or not rival.seconds:
        return None
    return ratio_of(
        [seconds / subject.items for seconds in subject.seconds],
        [seconds / rival.items for seconds in rival.seconds],
    )


def _memory(subject: Result, rival: Result) -> Ratio | None:
    if subject.peak is None or rival.peak is None:
        return None
    return ratio_of([float(rival.peak)], [float(subject.peak)])


#: What may be compared: how many times as fast, as long and as much memory the subject is, over
#: the rival; None where one of them failed.
QUANTITIES: dict[str, Callable[[Result, Result], Ratio | None]] = {
    "speed": _speed,
    "time": lambda subject, rival: _speed(rival, subject),
    "memory": _memory,
}


def rounded(value: Any) -> Any:
    """Return a number, or numbers, with six significant digits, which is more than is known."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}")
