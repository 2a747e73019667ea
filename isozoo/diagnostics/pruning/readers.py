"""Who reads the channels that are removed, and what these were there on average."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.diagnostics import showing
from isozoo.diagnostics.pruning.channels import Channels
from isozoo.diagnostics.responses import batches_of, by_position
from isozoo.diagnostics.taps import Step, stream
from isozoo.errors import DiagnosticsError


def reads(step: Step) -> bool:
    """Return whether a step makes each of its channels from all that it takes."""
    return isinstance(step.operation, keras.layers.Conv2D | keras.layers.Dense)


class Reader(NamedTuple):
    """A layer that reads channels.

    Attributes:
        step: The layer's step.
        source: Number of the tensor that it reads, before zeros are put around.
        padded: Whether zeros are.
    """

    step: Step
    source: int
    padded: bool

    @classmethod
    def of(cls, channels: Channels, step: Step) -> Reader:
        """Return the reader that a step is."""
        layer: Any = step.operation
        (source,) = step.inputs
        makers = {number: each for each in channels.graph.steps for number in each.outputs}
        before = makers.get(source)
        if before is not None and isinstance(before.operation, keras.layers.ZeroPadding2D):
            return cls(step, before.inputs[0], True)
        same = getattr(layer, "padding", "valid") == "same"
        return cls(step, source, same and max(layer.kernel_size) > 1)


class Means:
    """What removed channels are on average where they are read.

    Args:
        means: Of each source, the mean of each channel.
        spans: Of each source, by how much each channel varies.
    """

    def __init__(self, means: dict[int, np.ndarray], spans: dict[int, np.ndarray]) -> None:
        self._means = means
        self._spans = spans

    @classmethod
    def of(
        cls, channels: Channels, readers: list[Reader], asked: set[int], batches: Iterable[Any]
    ) -> Means:
        """Compute a network on batches, and average."""
        walked = channels.graph
        sources = {r.source for r in readers if asked.intersection(channels.roots(r.source))}
        makers = {n: step.name for step in walked.steps for n in step.outputs if n in sources}
        of_name = {name: number for number, name in makers.items()}
        sums: dict[int, Any] = dict.fromkeys(sources, 0.0)
        low: dict[int, Any] = dict.fromkeys(sources, np.inf)
        high: dict[int, Any] = dict.fromkeys(sources, -np.inf)
        counts = Counter()
        for batch in showing.track(batches_of(batches), "means"):
            for step, _, output in stream(walked, batch, names=list(of_name)):
                number = of_name[step.name]
                values = by_position(output, channels.axis)
                sums[number] = sums[number] + values.sum(axis=(0, 1), dtype=np.float64)
                low[number] = np.minimum(low[number], values.min(axis=(0, 1)))
                high[number] = np.maximum(high[number], values.max(axis=(0, 1)))
                counts[number] += values.shape[0] * values.shape[1]
        if sources and not counts:
            raise DiagnosticsError("means were asked for over no images; give at least one batch")
        return cls(
            {number: sums[number] / counts[number] for number in sources},
            {number: high[number] - low[number] for number in sources},
        )

    def mean(self, reader: Reader, channel: int) -> float:
        """Return a channel's mean where it is read."""
        return float(self._means[reader.source][channel])

    def constant(self, reader: Reader, channel: int) -> bool:
        """Return whether a channel is the same everywhere, but for rounding."""
        return self._spans[reader.source][channel] <= 1e-6 * abs(self.mean(reader, channel))


def carriers_of(
    channels: Channels, readers: list[Reader], asked: set[int], means: Means
) -> dict[int, int]:
    """Return which constant label stays for which, and for itself, because of padding.

    Labels that the same padded layers read share the one that is least small where it is read.
    """
    places: dict[int, list[tuple[Reader, int]]] = {}
    for reader in readers:
        for channel, root in enumerate(channels.roots(reader.source) if reader.padded else ()):
            if root in asked:
                places.setdefault(root, []).append((reader, channel))
    families: dict[tuple[str, ...], dict[int, list[float]]] = {}
    for root, where in places.items():
        if all(means.constant(*place) for place in where):
            values = [abs(means.mean(*place)) for place in where]
            if any(values):
                names = tuple(reader.step.name for reader, _ in where)
                families.setdefault(names, {})[root] = values
    found = {}
    for members in families.values():
        carrier = max(members, key=lambda root: min(members[root]))
        if min(members[carrier]):
            found |= dict.fromkeys(members, carrier)
    return found
