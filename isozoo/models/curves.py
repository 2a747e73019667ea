"""Learning curves, drawn from the logs of training runs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isozoo.errors import MissingExtraError
from isozoo.models.manifest import Log

_THIN = {"linewidth": 0.8, "alpha": 0.6}
_THICK = {"linewidth": 2.0}


class Panel(NamedTuple):
    """One pair of axes: its title, the style of each key of the log, and settings of the axes."""

    title: str
    lines: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any]


PANELS = (
    Panel("loss on the training images", {"loss": _THICK}, {}),
    Panel(
        "accuracy: validation (thick), training (thin)",
        {"accuracy": _THIN, "val_accuracy": _THICK},
        {"ylim": (0, 1)},
    ),
    Panel("orthogonality penalty", {"penalty": _THICK}, {"yscale": "log"}),
)


def panels_of(logs: Iterable[Log]) -> list[Panel]:
    """Return the panels that the logs have something to draw in.

    Example:
        >>> [panel.title for panel in panels_of([[{"epoch": 1, "loss": 2.0}]])]
        ['loss on the training images']
    """
    rows = [row for log in logs for row in log if "epoch" in row]
    return [panel for panel in PANELS if any(key in row for row in rows for key in panel.lines)]


def plot_runs(logs: Mapping[str, Log], path: str | os.PathLike[str]) -> Path:
    """Draw loss, accuracy and orthogonality penalty over the epochs of one or several runs.

    Each has a panel, if the logs have it. The validation accuracy is a thick line and the training
    accuracy, on augmented images, a thin one; the penalty's axis is logarithmic. Epochs at which
    the image size grew are marked by dotted lines.

    Args:
        logs: The records of each run's `log.jsonl`, by the run's name.
        path: File to write; its ending (`.png`, `.svg`) decides the format.

    Returns:
        The path.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        ValueError: There is no run, or one whose records have nothing to draw.

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
    if not logs or not all(panels_of([log]) for log in logs.values()):
        known = ", ".join(key for panel in PANELS for key in panel.lines)
        raise ValueError(
            f"plot_runs needs at least one run, each with at least one epoch and one of {known}"
        )
    panels = panels_of(logs.values())
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, panel, logs)
    # Pictures of equal logs should not differ by the version of Matplotlib that is noted in them.
    unnoted = {"Software": None} if Path(path).suffix.lower() == ".png" else None
    figure.savefig(path, dpi=100, metadata=unnoted)
    return Path(path)


def _draw(axes: Any, panel: Panel, logs: Mapping[str, Log]) -> None:
    named = list(panel.lines)[-1]
    for number, (name, log) in enumerate(logs.items()):
        for key, style in panel.lines.items():
            points = [(row["epoch"], row[key]) for row in log if key in row and "epoch" in row]
            if points:
                label = {"label": name} if key == named else {}
                axes.plot(*zip(*points, strict=True), color=f"C{number}", **style, **label)
    heights = [height for line in axes.lines for height in line.get_ydata()]
    # Zeros alone have no place on a logarithmic axis.
    settings = panel.settings if max(heights) > 0 else {}
    for epoch in _growth(next(iter(logs.values()))):
        axes.axvline(epoch, color="grey", linestyle=":", linewidth=1)
    axes.set(title=panel.title, xlabel="epoch", **settings)
    axes.grid(alpha=0.3)
    if len(logs) > 1 and axes.get_legend_handles_labels()[0]:
        axes.legend()


def _growth(log: Log) -> list[float]:
    """Return the places between epochs at which the image size changed."""
    sized: Sequence[Mapping[str, Any]] = [row for row in log if "size" in row and "epoch" in row]
    pairs = itertools.pairwise(sized)
    return [(a["epoch"] + b["epoch"]) / 2 for a, b in pairs if a["size"] != b["size"]]
