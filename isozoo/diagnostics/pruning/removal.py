"""A network without some of its filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from isozoo.diagnostics.pruning.channels import Channels, follow
from isozoo.diagnostics.pruning.readers import Means, Reader, carriers_of, reads
from isozoo.diagnostics.pruning.smaller import Kept, smaller
from isozoo.diagnostics.taps import Graph, Slot, Step, graph
from isozoo.errors import DiagnosticsError


class Pruned(NamedTuple):
    """What `prune` made.

    Attributes:
        model: The smaller model.
        removed: Numbers of the removed channels of each step that lost any.
        carriers: Numbers of channels that were asked for and stay, because a padded convolution
            needs them as the constant that the other removed ones were.
        exact: Whether on the data the model answers as before, but for rounding; None without data.
    """

    model: keras.Model
    removed: dict[str, tuple[int, ...]]
    carriers: dict[str, tuple[int, ...]]
    exact: bool | None


def prune(
    model: keras.Model,
    filters: Mapping[str, Sequence[int]],
    batches: Iterable[Any] | None = None,
    exact_borders: bool = True,
) -> Pruned:
    r"""Return a smaller model without certain filters.

    A channel goes from wherever it is: the filter that makes it, normalisation and activation after
    it, the inputs of the next convolutions, and all channels that are added to it by shortcuts.
    With `batches`, what it was on average is not lost but goes into the biases of the layers
    that read it: a filter that is dead under SReLU is its shift everywhere, not 0.

    A convolution that pads its input with zeros sees less of such a constant at the borders, where
    a bias is not the same. With `exact_borders` one of the constant channels that such a
    convolution reads stays and stands for all of them,

    $$K'_{t, k} = K_{t, k} + \sum_c \frac{m_c}{m_k} K_{t, c}$$

    with $m$ the constants and $k$ the channel that stays, so that removing dead filters changes no
    output. Filters that are dead under ReLU are 0 and need none of this.

    Args:
        model: Any functional Keras model of images.
        filters: Numbers of the channels to remove, by the name of a step (`isozoo.diagnostics
            .steps`) that makes them, such as an activation. Those tied to them go too.
        batches: Preprocessed images as for `isozoo.diagnostics.filters`, over which the removed
            channels are averaged; without, they count as 0.
        exact_borders: Whether one constant channel of several stays for padded convolutions.

    Returns:
        The smaller model, a functional one of the same layers, and what became of the channels.

    Raises:
        DiagnosticsError: A channel is tied to the input, to the output or to a layer that channels
            cannot be followed through; no channel would be left; or there is no such channel.
        UnknownNameError: There is no such step.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2))
        >>> found = prune(model, {"backbone/s1_b1_f_a_relu": [0, 5]})
        >>> found.removed["backbone/s1_b1_f_a"], model.count_params() > found.model.count_params()
        ((0, 5), True)
    """
    channels = follow(graph(model))
    asked = _labels(channels, filters)
    _check(channels, asked)
    readers = [Reader.of(channels, step) for step in channels.graph.steps if reads(step)]
    means = None if batches is None else Means.of(channels, readers, asked, batches)
    carriers: dict[int, int] = {}
    if means is not None and exact_borders:
        carriers = carriers_of(channels, readers, asked, means)
    gone = asked - set(carriers.values())
    kept = _Keeping(channels, gone, means, carriers)
    return Pruned(
        _rebuilt(channels.graph, kept, f"{model.name}_pruned"),
        _numbers(channels, gone),
        _numbers(channels, set(carriers.values())),
        None if means is None else kept.exact(readers, means),
    )


def _labels(channels: Channels, filters: Mapping[str, Sequence[int]]) -> set[int]:
    """Return the labels of the channels that were asked for."""
    found: set[int] = set()
    for name, numbers in filters.items():
        roots = channels.roots(channels.graph.step(name).outputs[0])
        for number in numbers:
            if not 0 <= number < len(roots):
                raise DiagnosticsError(
                    f"asked to remove filter {number} of {name}, which has {len(roots)}; give "
                    f"numbers from 0 to {len(roots) - 1}"
                )
            found.add(roots[number])
    return found


def _check(channels: Channels, asked: set[int]) -> None:
    """Refuse to remove what something needs, and all channels of a tensor."""
    for step in channels.graph.steps:
        roots = channels.roots(step.outputs[0])
        for number, root in enumerate(roots):
            holder = channels.holder(root)
            if root in asked and holder is not None:
                raise DiagnosticsError(
                    f"filter {number} of {step.name} cannot be removed, as {holder}; leave it and "
                    "what it is tied to out"
                )
        if roots and asked.issuperset(roots):
            raise DiagnosticsError(
                f"all {len(roots)} filters of {step.name} would be removed; leave one at least"
            )


def _numbers(channels: Channels, roots: set[int]) -> dict[str, tuple[int, ...]]:
    """Return the numbers of channels with certain labels, by the step that makes them."""
    found = {
        step.name: tuple(
            i for i, root in enumerate(channels.roots(step.outputs[0])) if root in roots
        )
        for step in channels.graph.steps
    }
    return {name: numbers for name, numbers in found.items() if numbers}


class _Keeping:
    """What each layer keeps, and makes up for.

    Args:
        channels: The network's labels.
        gone: Those that are removed.
        means: What they are on average; None to count them as 0.
        carriers: Which label stays for which.
    """

    def __init__(
        self, channels: Channels, gone: set[int], means: Means | None, carriers: dict[int, int]
    ) -> None:
        self._channels = channels
        self._gone = gone
        self._means = means
        self._carriers = carriers

    def of(self, step: Step) -> Kept | None:
        """Return what a step's layer keeps; None if that is all."""
        taken, made = (self._kept(numbers[0]) for numbers in (step.inputs, step.outputs))
        labels = self._channels.labels
        if len(taken) == len(labels[step.inputs[0]]) and len(made) == len(labels[step.outputs[0]]):
            return None
        kept = Kept(taken, made)
        if self._means is None or not reads(step):
            return kept
        return self._made_up(Reader.of(self._channels, step), self._means, kept)

    def exact(self, readers: list[Reader], means: Means) -> bool:
        """Return whether every reader makes up for all that it read, on the data."""
        uses = Counter(id(reader.step.operation) for reader in readers)
        for reader in readers:
            once = uses[id(reader.step.operation)] == 1
            for channel, root in self._lost(reader):
                made_up = once and (not reader.padded or root in self._carriers)
                if not means.constant(reader, channel):
                    return False
                if means.mean(reader, channel) and not made_up:
                    return False
        return True

    def _kept(self, tensor: int) -> np.ndarray:
        roots = self._channels.roots(tensor)
        return np.array([i for i, root in enumerate(roots) if root not in self._gone], dtype=int)

    def _lost(self, reader: Reader) -> list[tuple[int, int]]:
        """Return number and label of the removed channels that a reader read."""
        roots = self._channels.roots(reader.source)
        return [(i, root) for i, root in enumerate(roots) if root in self._gone]

    def _made_up(self, reader: Reader, means: Means, kept: Kept) -> Kept:
        """Return what is kept with the means of what is not in kernel and bias."""
        roots = self._channels.roots(reader.source)
        layer: Any = reader.step.operation
        kernel = ops.convert_to_numpy(layer.kernel).astype(np.float64)
        new, bias = kernel.copy(), np.zeros(kernel.shape[-1])
        for channel, root in self._lost(reader):
            mean, part = means.mean(reader, channel), kernel[..., channel, :]
            if reader.padded and root in self._carriers:
                stays = roots.index(self._carriers[root])
                new[..., stays, :] += mean / means.mean(reader, stays) * part
            else:
                bias += mean * part.reshape(-1, len(bias)).sum(axis=0)
        return kept._replace(
            kernel=new if (new != kernel).any() else None, bias=bias if bias.any() else None
        )


def _rebuilt(walked: Graph, kept: _Keeping, name: str) -> keras.Model:
    """Return the model of a graph's operations, each with the channels that it keeps."""
    values: dict[int, Any] = {
        number: keras.Input(batch_shape=symbol.shape, dtype=symbol.dtype, name=symbol.name)
        for number, symbol in zip(walked.sources, walked.inputs, strict=True)
    }
    inputs = list(values.values())
    distinct = {id(step.operation): step.operation.name for step in walked.steps}
    names = Counter(distinct.values())
    made: dict[int, Any] = {}
    for step in walked.steps:
        old, weights = step.operation, None
        if id(old) not in made and isinstance(old, keras.layers.Layer):
            unique = old.name if names[old.name] == 1 else step.name.replace("/", "_")
            made[id(old)], weights = smaller(old, kept.of(step), unique)
        new = made.get(id(old)) or type(old).from_config(old.get_config())
        made[id(old)] = new
        args, kwargs = tree.map_structure(
            lambda leaf: values[leaf.number] if isinstance(leaf, Slot) else leaf,
            step.arguments,
            none_is_leaf=True,
        )
        values.update(zip(step.outputs, tree.flatten(new(*args, **kwargs)), strict=True))
        if weights is not None:
            new.set_weights(weights)
    results = [values[number] for number in walked.results]
    ends = (each[0] if len(each) == 1 else each for each in (inputs, results))
    return keras.Model(*ends, name=name)
