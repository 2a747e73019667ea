"""The components of the paper, as changes to an architecture that put each in or take it out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from isozoo.models.architecture import Architecture
from isozoo.models.parts import original_conv_bias


class Component(NamedTuple):
    """One component of a network.

    Args:
        name: What it is called.
        there: Whether an architecture has it.
        put_in: The architecture with it.
        take_out: The architecture without it.
    """

    name: str
    there: Callable[[Architecture], bool]
    put_in: Callable[[Architecture], Architecture]
    take_out: Callable[[Architecture], Architecture]


def _activation(arch: Architecture, activation: str) -> Architecture:
    bias = original_conv_bias(arch.normalization, activation)
    return arch.replace(activation=activation, conv_bias=bias)


def _normalization(arch: Architecture, normalization: str) -> Architecture:
    return arch.replace(
        normalization=normalization,
        conv_bias=original_conv_bias(normalization, arch.activation),
        # As the families have it: silence at the start of branches needs a shortcut around them.
        zero_last_gamma=normalization != "none" and arch.shortcut != "none",
    )


#: What may be changed about a network that does not train. The penalty is none of them: it is zero
#: or constant at the start, and works during training.
COMPONENTS: tuple[Component, ...] = (
    Component(
        "SReLU",
        lambda a: a.activation == "srelu",
        lambda a: _activation(a, "srelu"),
        lambda a: _activation(a, "relu"),
    ),
    Component(
        "Delta",
        lambda a: a.initializer == "delta",
        lambda a: a.replace(initializer="delta"),
        lambda a: a.replace(initializer="he"),
    ),
    Component(
        "shortcut",
        lambda a: a.shortcut != "none",
        lambda a: a.replace(shortcut="projection"),
        lambda a: a.replace(
            shortcut="none",
            residual_scale=None,
            residual_scale_trainable=True,
            zero_last_gamma=False,
        ),
    ),
    Component(
        "residual scale 0",
        lambda a: a.residual_scale == 0.0,
        lambda a: a.replace(residual_scale=0.0, residual_scale_trainable=True),
        lambda a: a.replace(residual_scale=None, residual_scale_trainable=True),
    ),
    Component(
        "batch normalisation",
        lambda a: a.normalization == "batch",
        lambda a: _normalization(a, "batch"),
        lambda a: _normalization(a, "none"),
    ),
)


class Variant(NamedTuple):
    """A network with components put in or taken out.

    Args:
        name: What is different, such as `"with SReLU and Delta"`.
        architecture: What it is.
    """

    name: str
    architecture: Architecture


def single_changes(arch: Architecture) -> list[Variant]:
    """Return the variants that differ by one component.

    Example:
        >>> from isozoo.models import architecture
        >>> [variant.name for variant in single_changes(architecture("isonet-18"))]
        ['without SReLU', 'without Delta', 'with shortcut', 'with batch normalisation']
    """
    found = []
    for component in COMPONENTS:
        if component.there(arch):
            found.append(Variant(f"without {component.name}", component.take_out(arch)))
        elif sensible(changed := component.put_in(arch)):
            found.append(Variant(f"with {component.name}", changed))
    return found


def pairs_put_in(arch: Architecture) -> Iterator[Variant]:
    """Yield the variants that have two components more.

    Example:
        >>> from isozoo.models import architecture
        >>> [variant.name for variant in pairs_put_in(architecture("vanilla-18"))][:2]
        ['with SReLU and Delta', 'with SReLU and shortcut']
    """
    missing = [component for component in COMPONENTS if not component.there(arch)]
    for one, other in itertools.combinations(missing, 2):
        changed = other.put_in(one.put_in(arch))
        if sensible(changed):
            yield Variant(f"with {one.name} and {other.name}", changed)


def sensible(arch: Architecture) -> bool:
    """Return whether an architecture is one that anybody would train.

    A scale of 0 silences a branch, and with it, where there is no shortcut, the network.
    """
    return arch.shortcut != "none" or arch.residual_scale is None
