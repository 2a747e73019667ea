"""Which filters to remove: dead ones, or the weakest."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import keras
import numpy as np

from isozoo.diagnostics.filter_report import FilterReport, LayerFilters
from isozoo.diagnostics.pruning.channels import Channels, follow
from isozoo.diagnostics.taps import graph
from isozoo.errors import DiagnosticsError, unknown

Filters = dict[str, tuple[int, ...]]


def _on(row: LayerFilters) -> np.ndarray:
    if row.on is None:
        raise DiagnosticsError(
            f"asked for the share of positions at which the filters of {row.name} are on, but "
            f"{row.kind} is never off; choose them by 'entropy'"
        )
    return row.on


def _random(row: LayerFilters) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(row.name.encode())).random(row.filters)


#: What a filter is worth, one number for each of an activation.
SCORES: dict[str, Callable[[LayerFilters], np.ndarray]] = {
    "entropy": lambda row: row.entropy,
    "on": _on,
    "random": _random,
}


def held_filters(model: keras.Model, report: FilterReport) -> dict[str, str]:
    """Return which filters of a model cannot be removed, and why.

    `dead_filters` and `weakest_filters` pass these over.

    Args:
        model: The model that was measured.
        report: What `isozoo.diagnostics.filters` found.

    Returns:
        Their number and the reasons, by the name of an activation that makes them.

    Example:
        >>> from isozoo.diagnostics import filters
        >>> parts = [keras.layers.ReLU(name="relu"), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((4,)), *parts])
        >>> held_filters(model, filters(model, np.ones((1, 4))))
        {'relu': '4 of 4: it is one of the input'}
    """
    channels = follow(graph(model))
    found = {}
    for row in report.layers:
        holders = [channels.holder(root) for root in _roots(channels, row)]
        if reasons := sorted({holder for holder in holders if holder is not None}):
            count = sum(holder is not None for holder in holders)
            found[row.name] = f"{count} of {row.filters}: {'; '.join(reasons)}"
    return found


def dead_filters(model: keras.Model, report: FilterReport) -> Filters:
    """Return the filters of a model that can be removed as dead.

    One that shortcuts tie to others is among them only if all of these are dead too. Those of
    `held_filters` are not among them.

    Args:
        model: The model that was measured.
        report: What `isozoo.diagnostics.filters` found.

    Returns:
        Numbers of filters by the name of an activation that makes them, as `prune` takes them.
    """
    channels = follow(graph(model))
    dead = _worst(channels, report, lambda row: row.dead.astype(float), min)
    return _by_name(channels, report, {root for root, worst in dead.items() if worst == 1.0})


def weakest_filters(
    model: keras.Model,
    report: FilterReport,
    share: float,
    by: str = "entropy",
    tied: bool = False,
) -> Filters:
    """Return a share of the filters of each activation that can be removed, by a score.

    The share is of those that `held_filters` does not name. That the lowest by a score are those
    that matter least is an assumption: compare with `"random"`, the control.

    Args:
        model: The model that was measured.
        report: What `isozoo.diagnostics.filters` found.
        share: Share of the filters, in [0, 1).
        by: `"entropy"`, that of the response to an image, `"on"`, the share of positions at which a
            filter is on, or `"random"`, drawn by the activation's name, the same each time.
        tied: Whether channels that shortcuts tie together may go as well, by the best of their
            scores; otherwise only those inside of branches.

    Returns:
        Numbers of filters by the name of an activation that makes them, as `prune` takes them.

    Raises:
        ValueError: `share` is out of its range.
        UnknownNameError: There is no such score.
        DiagnosticsError: An activation has no such score.

    Reference:
        Luo and Wu, "An Entropy-based Pruning Method for CNN Compression", 2017.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be in [0, 1), got {share}")
    if by not in SCORES:
        raise unknown("score of filters", by, SCORES)
    channels = follow(graph(model))
    scores = _worst(channels, report, SCORES[by], max)
    families: dict[tuple[str, ...], list[int]] = {}
    for root, names in _activations(channels, report).items():
        if channels.holder(root) is None and (tied or len(channels.makers(root)) == 1):
            families.setdefault(names, []).append(root)
    chosen = set()
    for roots in families.values():
        # Equal scores go by their number, so that the choice is the same each time.
        ranked = sorted(roots, key=lambda root: (scores[root], root))
        chosen.update(ranked[: min(int(share * len(roots)), len(roots) - 1)])
    return _by_name(channels, report, chosen)


def _activations(channels: Channels, report: FilterReport) -> dict[int, tuple[str, ...]]:
    """Return the activations that make the channels of each label."""
    found: dict[int, tuple[str, ...]] = {}
    for row in report.layers:
        for root in dict.fromkeys(_roots(channels, row)):
            found[root] = (*found.get(root, ()), row.name)
    return found


def _worst(
    channels: Channels,
    report: FilterReport,
    score: Callable[[LayerFilters], np.ndarray],
    of: Callable[..., float],
) -> dict[int, float]:
    """Return one score for each label that can be removed, of those of all its activations."""
    found: dict[int, float] = {}
    for row in report.layers:
        for root, value in zip(_roots(channels, row), score(row).tolist(), strict=True):
            if channels.holder(root) is None:
                found[root] = of(found.get(root, value), value)
    return found


def _by_name(channels: Channels, report: FilterReport, chosen: set[int]) -> Filters:
    found: Filters = {}
    for row in report.layers:
        roots = _roots(channels, row)
        if len(chosen.intersection(roots)) == len(set(roots)):
            # A layer cannot lose all; the last one stays.
            chosen = chosen - {roots[-1]}
        if numbers := tuple(i for i, root in enumerate(roots) if root in chosen):
            found[row.name] = numbers
    return found


def _roots(channels: Channels, row: LayerFilters) -> list[int]:
    roots = channels.roots(channels.graph.step(row.name).outputs[0])
    if len(roots) != row.filters:
        raise DiagnosticsError(
            f"{row.name} had {row.filters} filters when it was measured and has {len(roots)} in "
            f"{channels.graph.name}; measure that model"
        )
    return roots
