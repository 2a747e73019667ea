"""What is timed: one row for each measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from isozoo.benchmark.contenders import Contender
from isozoo.errors import BenchmarkError, unknown


@dataclasses.dataclass(frozen=True)
class Unit:
    """How seconds for one item are told.

    Args:
        name: `"images/s"`, `"ms"` or `"s"`.
        value: From seconds for one item to the number that is shown.
        more_is_better: Whether larger numbers are faster.
    """

    name: str
    value: Callable[[float], float]
    more_is_better: bool


UNITS = {
    unit.name: unit
    for unit in (
        Unit("images/s", lambda seconds: 1.0 / seconds, True),
        Unit("ms", lambda seconds: 1e3 * seconds, False),
        Unit("s", lambda seconds: seconds, False),
    )
}


@dataclasses.dataclass(frozen=True)
class Measure:
    """Something that can be timed.

    Args:
        unit: Name of a row of `UNITS`.
        what: What one repetition does, in words.
        work: `module:function` that prepares it, by the contender's source. Named, not imported:
            only a worker needs it.
        reads: The fields of `Preparation` that mean something to it.
        needs: The settings that it cannot do without.
    """

    unit: str
    what: str
    work: Mapping[str, str]
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_RIVAL = "isozoo.benchmark.work.rival:prepare"

MEASURES: dict[str, Measure] = {
    "inference": Measure(
        "images/s",
        "logits of one batch, preprocessed already",
        {
            "isozoo": "isozoo.benchmark.work.inference:own",
            "keras": "isozoo.benchmark.work.inference:application",
            "file": _RIVAL,
        },
        reads=("dtype", "fused", "runtime", "jit_compile"),
    ),
    "training": Measure(
        "images/s",
        "one whole step: forward, loss with the penalty, backward, update",
        {
            "isozoo": "isozoo.benchmark.work.training:own",
            "keras": "isozoo.benchmark.work.training:application",
            "file": _RIVAL,
        },
        reads=("dtype", "penalty", "method", "jit_compile"),
    ),
    "penalty": Measure(
        "ms",
        "the orthogonality penalty of all kernels of a network, and its gradient",
        {"isozoo": "isozoo.benchmark.work.penalty:own", "file": _RIVAL},
        reads=("method", "jit_compile"),
    ),
    "input": Measure(
        "images/s",
        "pictures decoded, varied at random and put into batches",
        {"isozoo": "isozoo.benchmark.work.pipeline:own", "file": _RIVAL},
        needs=("data",),
    ),
    "first": Measure(
        "s",
        "one picture classified by a process that is started for it",
        {
            "isozoo": "isozoo.benchmark.work.first:own",
            "keras": "isozoo.benchmark.work.first:application",
            "import": "isozoo.benchmark.work.first:bare_import",
            "file": _RIVAL,
        },
        reads=("runtime", "dtype"),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What all contenders of a comparison have in common.

    Args:
        batch_size: Images computed at once.
        image_size: Side of an image in pixels; by default the network's own.
        data: Folder or tar of `train/CLASS/*`, for `input` and to calibrate int8.
        backend: Backend of Keras; its own choice if None.
    """

    batch_size: int = 16
    image_size: int | None = None
    data: str | None = None
    backend: str | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        for field in ("batch_size", "image_size"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise BenchmarkError(f"{field} must be at least 1, got {value}")


@dataclasses.dataclass(frozen=True)
class Task:
    """What one worker is asked to time.

    Args:
        label: What its result is called.
        measure: A key of `MEASURES`.
        contender: Who is timed.
        settings: See `Settings`.

    Raises:
        UnknownNameError: There is no such measure.
        BenchmarkError: The contender cannot be timed so, or a setting is missing.
    """

    label: str
    measure: str
    contender: Contender
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        """Refuse what no worker could do."""
        if self.measure not in MEASURES:
            raise unknown("measure", self.measure, MEASURES)
        row, asked = MEASURES[self.measure], self.contender
        if asked.source not in row.work:
            raise BenchmarkError(
                f"{self.measure} of {asked.text} cannot be timed: a contender from "
                f"'{asked.source}' has none; sources that have: {', '.join(row.work)}"
            )
        for field, variant in asked.changes.items():
            if field not in row.reads:
                raise BenchmarkError(
                    f"@{variant} of {asked.text} means nothing to the measure '{self.measure}', "
                    f"which reads {', '.join(row.reads) or 'no variants'}; leave it out"
                )
        for field in row.needs:
            if getattr(self.settings, field) is None:
                raise BenchmarkError(
                    f"the measure '{self.measure}' needs the setting '{field}'; give --{field}"
                )

    @property
    def unit(self) -> Unit:
        """How its result is told."""
        return UNITS[MEASURES[self.measure].unit]

    def to_json(self) -> dict[str, Any]:
        """Return what a worker is sent."""
        return {
            "measure": self.measure,
            "contender": self.contender.text,
            "settings": dataclasses.asdict(self.settings),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Task:
        """Return what a worker was sent."""
        return cls(
            record["contender"],
            record["measure"],
            Contender.parse(record["contender"]),
            Settings(**record["settings"]),
        )
