"""How the way from one position of a run to another is cut into calls of `fit`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from isozoo.training.checkpoint import Position


class Segment(NamedTuple):
    """Epochs that one call of `fit` does: of each, the steps from `first` up to `last`."""

    epochs: range
    size: int
    first: int
    last: int


def segments(
    phases: Sequence[tuple[range, int]], steps: int, start: Position, stop: Position
) -> Iterator[Segment]:
    """Yield what lies between two positions, whole epochs of a phase together.

    Args:
        phases: Epochs and image size of each phase.
        steps: Steps per epoch.
        start: Where to begin; a step that is not 0 makes a segment of its own.
        stop: Where to end.

    Example:
        >>> phases = [(range(2), 24), (range(2, 4), 32)]
        >>> for found in segments(phases, 10, Position(0, 7), Position(3)):
        ...     print(*found)
        range(0, 1) 24 7 10
        range(1, 2) 24 0 10
        range(2, 3) 32 0 10
    """
    for epochs, size in phases:
        low, high = max(epochs.start, start.epoch), min(epochs.stop, stop.epoch)
        if low < high and low == start.epoch and start.step:
            if start.step < steps:
                yield Segment(range(low, low + 1), size, start.step, steps)
            low += 1
        if low < high:
            yield Segment(range(low, high), size, 0, steps)
        if stop.epoch in epochs and stop.step:
            first = start.step if start.epoch == stop.epoch else 0
            if first < stop.step:
                yield Segment(range(stop.epoch, stop.epoch + 1), size, first, stop.step)
