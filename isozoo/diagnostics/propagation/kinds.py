"""The kinds of network whose signal propagation is simulated, as rows of data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from isozoo.errors import unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A network of equal layers, described by what a layer or a residual unit does.

    Args:
        name: Key of `KINDS`.
        title: How it is called in tables and pictures.
        branch: Layers of a unit, each a sequence of `"convolution"`, `"normalization"` and
            `"activation"`. A feed-forward network has one layer in each unit.
        shortcut: Whether the unit's input is added to what its layers make of it.
        after: Steps after the sum.
        normalization: Row of `NORMALIZATIONS`.
        activation: Row of `HINGES`.
        kernel: How kernels are drawn, a row of `isozoo.diagnostics.propagation.kernels.KERNELS`.
        branch_scale: Factor on the branch before the sum.
        source: Who described the network.

    Example:
        >>> KINDS["bn-ff"].locations
        ('input', 'convolution', 'normalization', 'activation')
        >>> KINDS["bn-res"].locations
        ('input', 'normalization', 'activation', 'convolution', 'sum')
    """

    name: str
    title: str
    branch: tuple[tuple[str, ...], ...]
    shortcut: bool = False
    after: tuple[str, ...] = ()
    normalization: str = "none"
    activation: str = "relu"
    kernel: str = "he"
    branch_scale: float = 1.0
    source: str = ""

    @property
    def locations(self) -> tuple[str, ...]:
        """Where a unit is measured: around each step of its first layer, and at its end."""
        merged = ("sum",) if self.shortcut else ()
        return ("input", *self.branch[0], *merged, *(f"{step} after sum" for step in self.after))

    @property
    def ranked(self) -> tuple[str, ...]:
        """Locations whose effective rank is measured, as the original does: activations."""
        return tuple(place for place in self.locations if place.startswith("activation"))


#: Where an activation turns from constant to the identity.
HINGES: Mapping[str, float] = {"relu": 0.0, "srelu": -1.0}


@dataclasses.dataclass(frozen=True)
class Statistics:
    """One set of statistics that a normalisation divides by.

    Args:
        share: Its share of the output.
        groups: Groups of channels that share a statistic, or -1 for one per channel.
        over_batch: Whether all images share it.
    """

    share: float
    groups: int
    over_batch: bool


#: What each normalisation normalises over. A batch-instance gate starts at 1, where it is exactly
#: batch normalisation; the row here is half way, where it differs.
NORMALIZATIONS: Mapping[str, tuple[Statistics, ...]] = {
    "batch": (Statistics(1.0, -1, True),),
    "instance": (Statistics(1.0, -1, False),),
    "layer": (Statistics(1.0, 1, False),),
    "group": (Statistics(1.0, 32, False),),
    "batch-instance": (Statistics(0.5, -1, True), Statistics(0.5, -1, False)),
}

_LABATIE = "Labatie, ICML 2019"
_QI = "Qi et al., ICML 2020"
_FEED_FORWARD = (("convolution", "normalization", "activation"),)
_PRE_ACTIVATION = (("normalization", "activation", "convolution"),) * 2
_POST_ACTIVATION = (("convolution", "activation"), ("convolution",))
_SHORT = {"batch": "BN", "instance": "IN", "layer": "LN", "group": "GN", "batch-instance": "BIN"}


def _normalized() -> list[Kind]:
    rows = []
    for name, short in _SHORT.items():
        source = _LABATIE if name == "batch" else ""
        title = f"{short}, gate 1/2" if short == "BIN" else short
        key = short.lower()
        rows += [
            Kind(
                name=f"{key}-ff",
                title=f"{title}, feed-forward",
                branch=_FEED_FORWARD,
                normalization=name,
                source=source,
            ),
            Kind(
                name=f"{key}-res",
                title=f"{title}, ResNet",
                branch=_PRE_ACTIVATION,
                shortcut=True,
                normalization=name,
                source=source,
            ),
        ]
    return rows


#: The kinds of network, by name.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="vanilla",
            title="vanilla",
            branch=(("convolution", "activation"),),
            source=_LABATIE,
        ),
        Kind(
            name="vanilla-res",
            title="ResNet without normalisation",
            branch=(("activation", "convolution"),) * 2,
            shortcut=True,
        ),
        *_normalized(),
        Kind(
            name="fixup",
            title="Fixup",
            branch=_POST_ACTIVATION,
            shortcut=True,
            after=("activation",),
            kernel="fixup",
            source="Zhang et al., ICLR 2019",
        ),
        Kind(
            name="isonet",
            title="SReLU + Delta",
            branch=(("convolution", "activation"),),
            activation="srelu",
            kernel="delta",
            source=_QI,
        ),
        Kind(
            name="isonet-orthogonal",
            title="SReLU + DeltaOrthogonal",
            branch=(("convolution", "activation"),),
            activation="srelu",
            kernel="delta-orthogonal",
            source="Xiao et al., ICML 2018, for the kernels",
        ),
        Kind(
            name="r-isonet",
            title="R-ISONet",
            branch=_POST_ACTIVATION,
            shortcut=True,
            after=("activation",),
            activation="srelu",
            kernel="delta",
            branch_scale=0.0,
            source=_QI,
        ),
    )
}


def kind_named(name: str) -> Kind:
    """Return the row of `KINDS` with a name.

    Raises:
        UnknownNameError: There is none; the nearest names are given.

    Example:
        >>> kind_named("ln-ff").normalization
        'layer'
    """
    if name not in KINDS:
        raise unknown("kind of network", name, KINDS)
    return KINDS[name]
