"""The layers of a network that have trained weights, in order of computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras

from isozoo.diagnostics.taps import steps
from isozoo.errors import DiagnosticsError, unknown


class Weighted(NamedTuple):
    """A layer with trained weights, at its place in the computation.

    Args:
        name: Its path, as `isozoo.diagnostics.steps` names it.
        kernels: Places of its kernels among the model's trainable variables: of all its weights
            with two axes or more.
        weights: Places of all its weights there.
    """

    name: str
    kernels: tuple[int, ...]
    weights: tuple[int, ...]


def weighted_layers(model: keras.Model) -> list[Weighted]:
    """Return the layers with trained weights in order of computation, each at its first use.

    Raises:
        DiagnosticsError: The model has no graph, or a trained weight belongs to none of its layers.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> found = weighted_layers(Classifier(architecture("vgg-bn-13", width=8)))
        >>> [layer.name for layer in found if layer.kernels][:2], found[1].kernels
        (['backbone/stem_conv', 'backbone/s1_b1_f_a'], ())
    """
    places = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
    found: list[Weighted] = []
    for step in steps(model):
        own = getattr(step.operation, "trainable_variables", ())
        here = [places.pop(id(variable)) for variable in own if id(variable) in places]
        kernels = [i for i in here if len(model.trainable_variables[i].shape) > 1]
        if here:
            found.append(Weighted(step.name, tuple(kernels), tuple(here)))
    if places:
        left = [model.trainable_variables[i].path for i in places.values()]
        raise DiagnosticsError(
            f"{model.name} trains {left[0]}, which none of its layers holds, so nobody knows "
            "what comes before it; give the model that the layers belong to"
        )
    return found


def chosen_layers(model: keras.Model, names: Sequence[str] | None) -> list[Weighted]:
    """Return the layers of some names that have a kernel, or all of them for None.

    Raises:
        UnknownNameError: There is no such layer; the nearest names are given.
        DiagnosticsError: As for `weighted_layers`.
    """
    known = {layer.name: layer for layer in weighted_layers(model) if layer.kernels}
    for name in names or ():
        if name not in known:
            raise unknown("layer with a kernel", name, known)
    return [layer for name, layer in known.items() if names is None or name in names]
