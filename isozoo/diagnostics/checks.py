"""A network at initialisation, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from isozoo.diagnostics.isometry.flow import Isometry, NetworkFlow, measure_isometry
from isozoo.diagnostics.propagation.models import model_propagation
from isozoo.diagnostics.subject import Subject
from isozoo.diagnostics.surface import LossSurface

#: Factor by which the norm of a signal or gradient may change from end to end.
HEALTHY_GAIN = 1e3
#: What propagation says of a network with which nothing is wrong.
WELL = "well-behaved"


class Fault(NamedTuple):
    """What is wrong with the signal, or with the gradient.

    Args:
        what: `"signal"` or `"gradient"`.
        how: `"dies"`, `"explodes"` or `"is not a number"`.
        place: The first cut where its norm is off, on its own way.
    """

    what: str
    how: str
    place: str


@dataclasses.dataclass(frozen=True)
class Checked:
    """A network at initialisation, in training mode.

    Args:
        name: What is different about it, or `"as it is"`.
        loss: The loss of the images.
        signal: Norm of the last feature map by that of the images.
        gradient: Norm of the gradient at the first cut by that at the last feature map.
        angle: Mean angle between two images' last feature maps, in degrees.
        verdict: What propagation says.
        faults: Where signal or gradient is off by more than `HEALTHY_GAIN`, at most one of each.
    """

    name: str
    loss: float
    signal: float
    gradient: float
    angle: float
    verdict: str
    faults: tuple[Fault, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is nothing wrong."""
        return not self.faults and self.verdict == WELL


def check(subject: Subject) -> tuple[Checked, Isometry]:
    """Measure a network at initialisation, and return its norms and angles as well."""
    batch, labels = subject.images, subject.labels
    flows = measure_isometry(subject.model, batch, labels, training=True, label=subject.label)
    (flow,) = flows.networks
    with np.errstate(all="ignore"):
        propagation = model_propagation(subject.model, batch, repeats=1, training=True)
    surface = LossSurface(subject.model, batch, labels, training=True)
    end = last_map(flow)
    checked = Checked(
        subject.label,
        surface.loss(surface.values()),
        float(_by(flow.signals.norms, 0)[end]),
        float(_by(flow.gradients.norms, end)[1]),
        float(flow.signals.angles[end]),
        propagation.verdict,
        faults(flow),
    )
    return checked, flows


def faults(flow: NetworkFlow) -> tuple[Fault, ...]:
    """Return where the signal is off, and where the gradient, each first on its own way."""
    end = last_map(flow)
    there = range(end + 1)
    # The gradient at the images themselves is that of the attacker, not of any weight.
    back = range(end, 0, -1)
    ways = (
        ("signal", there, _by(flow.signals.norms, 0)),
        ("gradient", back, _by(flow.gradients.norms, end)),
    )
    found = (_first(what, way, gains, flow.cuts) for what, way, gains in ways)
    return tuple(fault for fault in found if fault)


def last_map(flow: NetworkFlow) -> int:
    """Return the number of the last cut before the head of a classifier."""
    return max(number for number, name in enumerate(flow.cuts) if not name.startswith("head/"))


def _by(norms: np.ndarray, number: int) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return norms / norms[number]


def _first(what: str, way: range, gains: np.ndarray, cuts: tuple[str, ...]) -> Fault | None:
    for number in way:
        if how := _how(float(gains[number])):
            return Fault(what, how, cuts[number])
    return None


def _how(gain: float) -> str:
    """Return what is wrong with a gain; empty if nothing is."""
    if math.isnan(gain):
        return "is not a number"
    if gain >= HEALTHY_GAIN:
        return "explodes"
    return "dies" if gain <= 1 / HEALTHY_GAIN else ""
