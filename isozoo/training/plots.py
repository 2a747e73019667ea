"""Pictures of training runs, drawn from their logs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isozoo.errors import MissingExtraError

Log = Sequence[Mapping[str, Any]]


def plot_runs(logs: Mapping[str, Log], path: str | os.PathLike[str]) -> Path:
    """Draw accuracy and orthogonality penalty over the epochs of one or several runs.

    The left panel has the validation accuracy as a solid line and the training accuracy, on
    augmented images, as a thin one; the right panel the penalty, on a logarithmic axis. Epochs at
    which the image size grew are marked by dotted lines.

    Args:
        logs: The records of each run's `log.jsonl`, by the run's name.
        path: File to write; its ending (`.png`, `.svg`) decides the format.

    Returns:
        The path.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        ValueError: There is no run, or one without epochs.

    Example:
        >>> import tempfile
        >>> log = [{"epoch": 1, "size": 64, "accuracy": 0.2, "val_accuracy": 0.3, "penalty": 1.0}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plot_runs({"demo": log}, f"{folder}/demo.png").stat().st_size > 1000
        True
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib: python -m pip install 'isozoo[train]'"
        ) from error
    if not logs or not all(logs.values()):
        raise ValueError("plot_runs needs at least one run, each with at least one epoch")
    figure = Figure(figsize=(10, 4), layout="constrained")
    accuracy, penalty = figure.subplots(1, 2)
    for number, (name, log) in enumerate(logs.items()):
        colour = f"C{number}"
        _line(accuracy, log, "accuracy", color=colour, linewidth=0.8, alpha=0.6)
        _line(accuracy, log, "val_accuracy", color=colour, linewidth=2, label=name)
        _line(penalty, log, "penalty", color=colour, linewidth=2, label=name)
    for axes, title in (
        (accuracy, "accuracy: validation (thick), training (thin)"),
        (penalty, "orthogonality penalty"),
    ):
        for epoch in _growth(next(iter(logs.values()))):
            axes.axvline(epoch, color="grey", linestyle=":", linewidth=1)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    penalty.set_yscale("log")
    accuracy.set_ylim(0, 1)
    figure.savefig(path, dpi=120)
    return Path(path)


def _line(axes: Any, log: Log, key: str, **style: Any) -> None:
    points = [(row["epoch"], row[key]) for row in log if key in row]
    if points:
        axes.plot(*zip(*points, strict=True), **style)


def _growth(log: Log) -> list[float]:
    """Return the places between epochs at which the image size changed."""
    pairs = itertools.pairwise(log)
    return [(a["epoch"] + b["epoch"]) / 2 for a, b in pairs if a["size"] != b["size"]]
