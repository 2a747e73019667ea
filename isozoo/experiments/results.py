"""What the runs of an experiment came to, and the mean and spread of each cell."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isozoo.errors import DataError
from isozoo.files import atomic_write

#: Name of the file with an experiment's results.
RESULTS = "results.json"
#: Keys of a run's `outcome`.
FINISHED, DIVERGED = "finished", "diverged"
#: A network has learned if its accuracy is above this many times that of guessing.
LEARNED = 1.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """What one run came to, and where.

    Args:
        row: Name of its row.
        column: Name of its column.
        seed: Its seed.
        model: Name of the network.
        settings: Hash of the recipe's settings, see `isozoo.experiments.table.settings_hash`.
        dataset: The data set as the user named it, without its folder.
        training_images: Training images.
        strategy: Devices, as `train` takes it.
        machine: Processor, cores and threads.
        versions: Versions of isozoo and of what computed.
        outcome: `finished`, or `diverged` where the loss was no number.
        epochs: Finished epochs.
        seconds: That they took, without reading the images and the last measurement.
        top1: Accuracy in [0, 1] on the whole validation split; None where it diverged.
        top5: Likewise for the five likeliest classes.
        training_accuracy: Accuracy in [0, 1] on the augmented images of the last epoch.
        cross_entropy: Of the last epoch, on the training images.
        penalty: Orthogonality penalty, without its factor, at the last epoch's end.
        images: Validation images measured.
        chance: Share of the most frequent class among them: what guessing achieves.
        reason: Where and how it diverged; empty otherwise.
    """

    row: str
    column: str
    seed: int
    model: str
    settings: str
    dataset: str
    training_images: int
    strategy: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    outcome: str
    epochs: int
    seconds: float
    top1: float | None = None
    top5: float | None = None
    training_accuracy: float | None = None
    cross_entropy: float | None = None
    penalty: float | None = None
    images: int | None = None
    chance: float
    reason: str = ""

    @property
    def learned(self) -> bool:
        """Whether it finished, with more than `LEARNED` times the accuracy of guessing."""
        return self.top1 is not None and self.top1 > LEARNED * self.chance


@dataclasses.dataclass(frozen=True)
class CellResult:
    """Mean and spread of the runs of one cell.

    Args:
        row: Name of the row.
        column: Name of the column.
        runs: The runs, by seed.
    """

    row: str
    column: str
    runs: tuple[RunResult, ...]

    @property
    def values(self) -> list[float]:
        """Accuracies of the runs; guessing for a run that diverged."""
        return [run.chance if run.top1 is None else run.top1 for run in self.runs]

    @property
    def mean(self) -> float:
        """Mean accuracy in [0, 1]."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation between seeds (of the sample); None for a single run."""
        return statistics.stdev(self.values) if len(self.runs) > 1 else None

    @property
    def learned(self) -> int:
        """Number of runs that learned, see `RunResult.learned`."""
        return sum(run.learned for run in self.runs)

    @property
    def diverged(self) -> int:
        """Number of runs whose loss was no number."""
        return sum(run.outcome == DIVERGED for run in self.runs)

    def __str__(self) -> str:
        """Return mean ± spread in per cent, the number of runs, and how many did not learn."""
        spread = "" if self.spread is None else f" ± {100 * self.spread:.1f} ({len(self.runs)})"
        failed = {"diverged": self.diverged, "not learned": len(self.runs) - self.learned}
        failed["not learned"] -= self.diverged
        told = "; ".join(
            what if len(self.runs) == 1 else f"{count} {what}"
            for what, count in failed.items()
            if count
        )
        return f"{100 * self.mean:.1f}{spread}" + (f", {told}" if told else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """All that was measured of one table at one scale.

    Args:
        table: Name of the table.
        scale: Name of the scale.
        runs: The runs, in the table's order.
    """

    table: str
    scale: str
    runs: tuple[RunResult, ...]

    def cells(self) -> dict[tuple[str, str], CellResult]:
        """Return what was measured of each cell, by the names of row and column."""
        found: dict[tuple[str, str], list[RunResult]] = {}
        for run in sorted(self.runs, key=lambda run: run.seed):
            found.setdefault((run.row, run.column), []).append(run)
        return {key: CellResult(*key, tuple(runs)) for key, runs in found.items()}

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return dataclasses.asdict(self)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write them as JSON, under a temporary name first."""
        atomic_write(path, json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")


def read_results(path: str | os.PathLike[str]) -> Results:
    """Read what `Results.write` wrote.

    Raises:
        DataError: There is no such file, or it is not one of these.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        runs: Sequence[Mapping[str, Any]] = found["runs"]
        return Results(**{**found, "runs": tuple(RunResult(**run) for run in runs)})
    except FileNotFoundError:
        raise DataError(f"no results at {path}; `isozoo reproduce` writes them") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not hold an experiment's results: {error}") from error
