"""Bars of what was measured, with their spread, and the ratio to a rival."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isozoo.benchmark.comparison import Comparison
from isozoo.benchmark.measures import UNITS
from isozoo.benchmark.results import Result
from isozoo.errors import BenchmarkError, MissingExtraError


def plot(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Draw a bar for each contender: the median, and lines over the range of the rounds.

    Beside each bar stand its number and, if the comparison has a rival, how many times as fast as
    the first of them it is.

    Args:
        comparison: What was measured; contenders that failed are named as such.
        path: File to write; its ending (`.png`, `.svg`) decides the format.

    Returns:
        The path.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        BenchmarkError: No contender was measured.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib: python -m pip install 'isozoo[train]'"
        ) from error
    results = _alike(comparison)
    if not any(result.seconds for result in results):
        raise BenchmarkError(f"{comparison.title}: all contenders failed, there is nothing to draw")
    figure = Figure(figsize=(8, 1.0 + 0.42 * len(results)), layout="constrained")
    figure.suptitle(comparison.title)
    _draw(figure.subplots(), comparison)
    # Pictures of equal numbers should not differ by the version of Matplotlib noted in them.
    unnoted = {"Software": None} if Path(path).suffix.lower() == ".png" else None
    figure.savefig(path, dpi=90, metadata=unnoted)
    return Path(path)


def _draw(axes: Any, comparison: Comparison) -> None:
    results, rivals = _alike(comparison), comparison.against[:1]
    places = range(len(results))
    axes.barh(
        places,
        [result.median or 0.0 for result in results],
        xerr=list(zip(*map(_reach, results), strict=True)),
        color=["C7" if result.label in comparison.against else "C0" for result in results],
        ecolor="0.25",
        capsize=3,
    )
    axes.set_yticks(places, [result.label for result in results])
    axes.invert_yaxis()
    for place, result in zip(places, results, strict=True):
        axes.annotate(
            _note(comparison, result, rivals),
            (result.range[1] if result.range else 0.0, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    unit = UNITS[results[0].unit]
    direction = "more" if unit.more_is_better else "less"
    ratio = f"\nx: times as fast as {rivals[0]}" if rivals else ""
    axes.set(xlabel=f"{unit.name} ({direction} is better){ratio}")
    axes.margins(x=0.25)  # room for the numbers
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def _alike(comparison: Comparison) -> list[Result]:
    """Return the results of the first one's measure: bars of another would dwarf them."""
    measure = comparison.results[0].measure
    return [result for result in comparison.results if result.measure == measure]


def _reach(result: Result) -> tuple[float, float]:
    """Return how far the range lies below and above the median."""
    if result.median is None or result.range is None:
        return 0.0, 0.0
    low, high = result.range
    return result.median - low, high - result.median


def _note(comparison: Comparison, result: Result, rivals: Sequence[str]) -> str:
    if result.median is None:
        return "failed"
    ratios = [comparison.ratio(result.label, rival) for rival in rivals if rival != result.label]
    shown = [f"{ratio.median:.2f}x" for ratio in ratios if ratio is not None]
    return "  ".join([f"{result.median:.4g}", *shown])
