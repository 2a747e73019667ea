"""Which channels of a network stand and fall together.

Every channel of every tensor gets a label. What makes new channels, such as a convolution, gives
new labels; what works on each channel alone passes them on; what joins channels, such as the sum of
branch and shortcut, makes two labels one. To remove a channel is to remove its label everywhere.
What an operation does to labels is a row of `RULES`; one that has none holds the channels that it
takes and makes, which then cannot be removed, and is named to whoever asks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from isozoo.diagnostics.floors import activation_of, channel_axis
from isozoo.diagnostics.taps import Graph, Slot, Step
from isozoo.layers import (
    BatchInstanceNormalization,
    Maxout,
    PReLU,
    ResidualScale,
    ScalarBias,
    SReLU,
    SymmetricMaxPooling2D,
)

Labels = np.ndarray


@dataclasses.dataclass
class Channels:
    """The labels of a network's channels.

    Args:
        graph: The network's steps.
        axis: The axis of channels in feature maps.
        labels: Of each tensor, by its number: the label of each channel, before `root`.
    """

    graph: Graph
    axis: int
    labels: dict[int, Labels] = dataclasses.field(default_factory=dict)
    _parents: list[int] = dataclasses.field(default_factory=list)
    _makers: list[frozenset[str]] = dataclasses.field(default_factory=list)
    _holders: dict[int, str] = dataclasses.field(default_factory=dict)

    def new(self, count: int, maker: str) -> Labels:
        """Return so many labels that there were not before, and remember who makes them."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        self._makers.extend([frozenset([maker])] * count)
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        """Return the one of equal labels that stands for all."""
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label

    def roots(self, tensor: int) -> list[int]:
        """Return the labels of a tensor's channels."""
        return [self.root(label) for label in self.labels[tensor].tolist()]

    def tie(self, one: Labels, other: Labels) -> None:
        """Make labels equal, one by one."""
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            a, b = self.root(a), self.root(b)
            if a != b:
                self._parents[b] = a
                self._makers[a] |= self._makers[b]
                if (holder := self._holders.pop(b, None)) is not None:
                    self._holders.setdefault(a, holder)

    def makers(self, label: int) -> frozenset[str]:
        """Return the steps that make channels of a label, several if something ties them."""
        return self._makers[self.root(label)]

    def hold(self, labels: Labels, holder: str) -> None:
        """Mark labels as not to be removed, and say why."""
        for label in labels.tolist():
            self._holders.setdefault(self.root(label), holder)

    def holder(self, label: int) -> str | None:
        """Return why a label cannot be removed; None if it can."""
        return self._holders.get(self.root(label))


def follow(graph: Graph) -> Channels:
    """Return the labels of all channels of a network.

    Args:
        graph: The network's steps.

    Raises:
        DiagnosticsError: Some layers have channels first and others last.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> from isozoo.diagnostics.taps import graph
        >>> channels = follow(graph(Classifier(architecture("r-isonet-8", classes=2))))
        >>> inside = channels.graph.step("backbone/s1_b1_f_a_relu")
        >>> channels.holder(channels.roots(inside.outputs[0])[0]) is None
        True
    """
    found = Channels(graph, channel_axis(graph))
    for number, symbol in zip(graph.sources, graph.inputs, strict=True):
        found.labels[number] = found.new(_channels(found, symbol.shape), "the input")
        found.hold(found.labels[number], "it is one of the input")
    called: dict[int, tuple[list[Labels], Labels]] = {}
    for step in graph.steps:
        taken = [found.labels[number] for number in step.inputs]
        made = _rule(found, step)(found, step, taken)
        for number in step.outputs:
            found.labels[number] = made
        if _bound(step):
            before = called.setdefault(id(step.operation), (taken, made))
            _tie_uses(found, step, (*before[0], before[1]), (*taken, made))
    for number in graph.results:
        found.hold(found.labels[number], "it is one of the output")
    return found


def _bound(step: Step) -> bool:
    """Return whether a layer that is used again has the same channels each time.

    That is so with weights, and if it is built for a number of channels.
    """
    operation = step.operation
    weights = getattr(operation, "weights", ())
    return bool(weights) or isinstance(operation, keras.layers.GroupNormalization)


def _tie_uses(
    channels: Channels, step: Step, before: tuple[Labels, ...], now: tuple[Labels, ...]
) -> None:
    if [len(labels) for labels in before] == [len(labels) for labels in now]:
        for one, other in zip(before, now, strict=True):
            channels.tie(one, other)
        return
    for labels in (*before, *now):
        channels.hold(labels, f"{step.name} ({step.kind}) is used for other numbers of channels")


def _channels(channels: Channels, shape: tuple[int | None, ...]) -> int:
    """Return the number of channels of a tensor; 1 for one without, or with any number."""
    if len(shape) < 2:
        return 1
    return shape[channels.axis if len(shape) == 4 else -1] or 1


Rule = Callable[[Channels, Step, list[Labels]], Labels]


def fresh(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    """Give new labels: each output channel is made from all input channels."""
    return channels.new(_channels(channels, step.shape), step.name)


def alone(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    """Pass labels on: each channel is worked on alone."""
    return taken[0]


def held(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    """Hold what is taken and made."""
    made = fresh(channels, step, taken)
    for labels in (*taken, made):
        _hold(channels, labels, step, step.kind)
    return made


def _hold(channels: Channels, labels: Labels, step: Step, kind: str) -> None:
    channels.hold(labels, f"channels cannot be followed through {step.name} ({kind})")


def tied(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    """Make the labels of all inputs one, channel by channel."""
    if len({len(labels) for labels in taken}) > 1:
        return held(channels, step, taken)
    for other in taken[1:]:
        channels.tie(taken[0], other)
    return taken[0]


def _convolution(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    grouped = step.operation.groups > 1  # pyright: ignore[reportAttributeAccessIssue]
    return (held if grouped else _mixing)(channels, step, taken)


def _mixing(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    made = fresh(channels, step, taken)
    known = activation_of(step)
    if known is not None and known.mixes:
        _hold(channels, made, step, known.kind)
    return made


def _by_depth(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    return np.repeat(taken[0], step.operation.depth_multiplier)  # pyright: ignore


def _activation(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    known = activation_of(step)
    return (held if known is not None and known.mixes else alone)(channels, step, taken)


def _normalization_by_group(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    # Groups of one channel each are instance normalisation, which leaves the others alone.
    single = step.operation.groups in (-1, len(taken[0]))  # pyright: ignore
    return (alone if single else held)(channels, step, taken)


def _concatenated(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    axis = step.operation.axis % len(step.shape)  # pyright: ignore
    if axis == channels.axis % len(step.shape):
        return np.concatenate(taken)
    return tied(channels, step, taken)


def _flat(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    positions, rest = divmod(step.shape[-1] or 0, len(taken[0]))
    (source,) = step.inputs
    axes = [len(each.shape) for each in channels.graph.steps if source in each.outputs]
    # Of lines, Keras takes the channels to be first too, where other layers have them last.
    if not positions or rest or (channels.axis == 1 and axes == [3]):
        return held(channels, step, taken)
    # Keras moves the channels to the end before it flattens, wherever they were.
    return np.tile(taken[0], positions)


def _pieces(channels: Channels, step: Step, taken: list[Labels]) -> Labels:
    groups = taken[0].reshape(-1, step.operation.pieces)  # pyright: ignore
    for piece in groups.T[1:]:
        channels.tie(groups[:, 0], piece)
    return groups[:, 0]


_layers = keras.layers
#: What an operation does to channels, by the class of its layer; the first that applies.
RULES: tuple[tuple[tuple[type, ...], Rule], ...] = (
    ((_layers.DepthwiseConv2D,), _by_depth),
    ((_layers.Conv2D,), _convolution),
    ((_layers.Dense,), _mixing),
    ((_layers.GroupNormalization,), _normalization_by_group),
    ((_layers.Activation,), _activation),
    ((_layers.Concatenate,), _concatenated),
    ((_layers.Flatten,), _flat),
    ((Maxout,), _pieces),
    (
        (
            _layers.Add, _layers.Average, _layers.Maximum, _layers.Minimum, _layers.Multiply,
            _layers.Subtract,
        ),
        tied,
    ),
    (
        (
            BatchInstanceNormalization, PReLU, ResidualScale, SReLU, ScalarBias,
            SymmetricMaxPooling2D, _layers.AveragePooling2D, _layers.BatchNormalization,
            _layers.Cropping2D, _layers.Dropout, _layers.ELU, _layers.GaussianNoise,
            _layers.GlobalAveragePooling2D, _layers.GlobalMaxPooling2D, _layers.Identity,
            _layers.LeakyReLU, _layers.MaxPooling2D, _layers.ReLU, _layers.SpatialDropout2D,
            _layers.UpSampling2D, _layers.ZeroPadding2D,
        ),
        alone,
    ),
)  # fmt: skip

#: The same for plain operations of a graph, by the names of their classes.
_OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Maximum", "Minimum", "Multiply", "Subtract"), tied),
}


def _rule(channels: Channels, step: Step) -> Rule:
    operation: Any = step.operation
    if _across(channels, step):
        return held
    if isinstance(operation, _layers.Rescaling):
        return alone if np.ndim(operation.scale) == np.ndim(operation.offset) == 0 else held
    if isinstance(operation, keras.layers.Layer):
        return next((rule for kinds, rule in RULES if isinstance(operation, kinds)), held)
    # An array among the arguments may hold a number for each channel.
    leaves = keras.tree.flatten(step.arguments)
    if any(np.ndim(leaf) for leaf in leaves if not isinstance(leaf, Slot)):
        return held
    known = activation_of(step)
    if known is not None and not known.mixes:
        return alone
    return _OPERATIONS.get(step.kind, held)


def _across(channels: Channels, step: Step) -> bool:
    """Return whether a layer works along another axis of feature maps than that of channels."""
    operation: Any = step.operation
    dense = isinstance(operation, _layers.Dense)
    axis = -1 if dense else getattr(operation, "axis", channels.axis)
    known = isinstance(axis, int) and not isinstance(operation, _layers.Concatenate)
    return known and len(step.shape) == 4 and axis % 4 != channels.axis % 4
