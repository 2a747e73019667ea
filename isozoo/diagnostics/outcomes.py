"""What became of a training run, from what it left behind."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isozoo.errors import DiagnosticsError
from isozoo.models.manifest import LOG, RECIPE
from isozoo.models.provenance import read_log
from isozoo.training.fitting import ROLLBACKS
from isozoo.training.recipe import Recipe

#: A run has stalled if its accuracy on the training images stayed below this many times guessing.
STALLED = 1.5
#: Where the runs of an experiment note why they ended; `isozoo.experiments` writes it.
NOTE = "outcome.json"
DIVERGED = "diverged"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Args:
        state: `"diverged"`, `"stalled"`, `"learned"`, `"unfinished"` or `"unknown"`.
        text: The reason for that, in words.
        epochs: Epochs in its log.
        planned: Epochs of its recipe.
    """

    state: str
    text: str
    epochs: int
    planned: int


class Left(NamedTuple):
    """What a run left behind, but for weights.

    Args:
        plan: Its recipe.
        log: One record for each finished epoch.
        finished: Whether its weights folder is there.
        diverged: What is told of each divergence, the last one last.
    """

    plan: Recipe
    log: Sequence[Mapping[str, Any]] = ()
    finished: bool = False
    diverged: Sequence[str] = ()


def left_by(folder: Path) -> Left:
    """Return what a run left behind.

    Raises:
        DiagnosticsError: The folder holds no recipe, or a damaged note.
        RecipeError: The recipe cannot be read.
        WeightsError: The log cannot be read.
    """
    if not (folder / RECIPE).is_file():
        raise DiagnosticsError(
            f"{folder} has no {RECIPE}, so it is not known which network it trained; give the "
            "folder that `train` made inside of --out"
        )
    plan = Recipe.read(folder / RECIPE)
    log = read_log(folder / LOG) if (folder / LOG).is_file() else []
    rollbacks = list(_record(folder / ROLLBACKS).get("told", ()))
    # The file has those of the epoch that was not finished as well.
    told = rollbacks or [text for row in log for text in row.get("rollbacks", ())]
    note = _record(folder / NOTE)
    if note.get("outcome") == DIVERGED:
        told.append(str(note.get("reason")))
    return Left(plan, log, (folder / plan.name).is_dir(), told)


def outcome_of(left: Left, classes: int) -> Outcome:
    """Return what became of a run.

    It diverged if it left no weights and something tells of a loss that was no number or exploded:
    the losses of its log, a rollback, or an experiment's note. A run that left no weights and no
    such word may as well have been stopped, or go on still: it is unfinished.

    Args:
        left: What it left behind.
        classes: Number of classes.

    Example:
        >>> plan = Recipe.from_dict({
        ...     "tag": "demo", "model": {"name": "r-isonet-8"},
        ...     "phases": [{"epochs": 2, "size": 32}],
        ... })
        >>> outcome_of(Left(plan, [{"accuracy": 0.1, "loss": 2.3}] * 2, finished=True), 10).state
        'stalled'
        >>> outcome_of(Left(plan), 10).state
        'unfinished'
    """
    epochs, planned = len(left.log), left.plan.epochs
    if not left.finished and (why := _divergence(left)):
        text = f"it ended after {epochs} of {planned} epochs, and {why}"
        return Outcome(DIVERGED, text, epochs, planned)
    best = max((row["accuracy"] for row in left.log if "accuracy" in row), default=None)
    accuracy = "its log tells no accuracy"
    if best is not None:
        accuracy = (
            f"its best accuracy on training images was {100 * best:.1f} %, where guessing has "
            f"{100 / classes:.1f} %, after {epochs} of {planned} epochs"
        )
    learned = best is not None and best >= STALLED / classes
    if left.finished or learned:
        state = "unknown" if best is None else "learned" if learned else "stalled"
        return Outcome(state, accuracy, epochs, planned)
    text = (
        f"it left no weights and no word of a loss that was no number, so it was stopped, failed "
        f"for another reason, or still goes on; {accuracy}"
    )
    return Outcome("unfinished", text, epochs, planned)


def _divergence(left: Left) -> str:
    """Return what tells of a divergence; empty if nothing does."""
    if left.diverged:
        return left.diverged[-1]
    bad = [n for n, row in enumerate(left.log, 1) if not math.isfinite(row.get("loss", 0.0))]
    return f"the loss was no number in epoch {bad[0]}" if bad else ""


def _record(path: Path) -> Mapping[str, Any]:
    """Return the object in a JSON file, empty if there is no file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DiagnosticsError(f"{path} is no JSON ({error}); remove it") from error
    return found if isinstance(found, Mapping) else {}
