"""What is wrong with a network's propagation, if anything: criteria as rows of data."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from isozoo.diagnostics.propagation.curves import Curves
from isozoo.diagnostics.propagation.fits import fits

WELL_BEHAVED = "well-behaved"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one criterion says of a network.

    Args:
        verdict: Name of the pathology.
        value: What was measured, or None where it cannot be.
        threshold: What it is compared with.
        holds: Whether the network has the pathology at the depth that was measured.
    """

    verdict: str
    value: float | None
    threshold: float
    holds: bool


class Ends(NamedTuple):
    """Where the criteria look.

    Args:
        end: Location at the end of a unit.
        ranked: Location whose effective rank counts, the activation.
    """

    end: str
    ranked: str


class Criterion(NamedTuple):
    """A pathology and how it is recognised.

    Args:
        verdict: Its name.
        measures: What is compared, in words.
        value: That number of a network, from its curves, depths and ends.
        compare: How it stands to the threshold where the network has the pathology.
        threshold: What it is compared with.
        reason: Why that threshold.
    """

    verdict: str
    measures: str
    value: Callable[[Curves, np.ndarray, Ends], float | None]
    compare: Callable[[float, float], bool]
    threshold: float
    reason: str


def _last(measure: str, place: str) -> Callable[[Curves, np.ndarray, Ends], float | None]:
    def value(curves: Curves, depths: np.ndarray, ends: Ends) -> float | None:
        curve = curves[measure].get(getattr(ends, place))
        return None if curve is None else float(curve.mean[-1])

    return value


def _doubling(measure: str, power: float) -> Callable[[Curves, np.ndarray, Ends], float | None]:
    """Return the factor by which the second half of the depth multiplies a measure."""

    def value(curves: Curves, depths: np.ndarray, ends: Ends) -> float | None:
        if len(depths) < 2:
            return None
        logs = curves[measure][ends.end].mean
        # Of nothing there is no logarithm, but nothing is what is left.
        if np.isneginf(logs[-1]):
            return 0.0
        # Between measured depths the logarithm is taken to be a line. Of nothing it is infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            middle = np.interp(depths[-1] / 2, depths, logs)
            return float(np.exp((logs[-1] - middle) * power))

    return value


def _explosion(curves: Curves, depths: np.ndarray, ends: Ends) -> float | None:
    """Return that factor for chi, or what it would be at `FULL_DEPTH` by an exponential law."""
    laws = fits(depths, curves["log_chi"][ends.end].mean)
    if depths[-1] < FULL_DEPTH and len(depths) >= TELLING and laws:
        exponential, power = laws
        if exponential.r2 >= CERTAIN and exponential.r2 > power.r2:
            with np.errstate(over="ignore"):
                return float(np.exp(exponential.coefficient * FULL_DEPTH / 2))
    return _doubling("log_chi", 1.0)(curves, depths, ends)


#: Share of the signal's variance along one direction that makes it one-dimensional.
ONE_DIRECTION = 0.9
#: Share of the signal's power that varies, below which it has no dimension left.
VARYING = 0.01
#: Growth over the second half of the depth that is an explosion.
EXPLOSION = 10.0
#: Depth at which half of it tells an exponential from a power, by the rates of normalised networks.
FULL_DEPTH = 100
#: Measured depths from which the two laws can be told apart, and what the exponential one must then
#: explain to be continued. Vanilla and layer-normalised networks begin nearly so (0.998).
TELLING, CERTAIN = 10, 0.9985

CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        "zero-dimensional signal",
        "share of the signal's power that varies, mu2 / nu2, at the last layer",
        _last("varying", "end"),
        operator.lt,
        VARYING,
        "99 % of the power is then the same for all images and positions. A Gaussian after a "
        "ReLU has 0.68.",
    ),
    Criterion(
        "one-dimensional signal",
        "effective rank of the signal at the last activation",
        _last("reff_signal", "ranked"),
        operator.lt,
        1.0 / ONE_DIRECTION,
        "90 % of the variance is then along one direction.",
    ),
    Criterion(
        "exploding sensitivity",
        "factor by which the second half of the depth multiplies chi; where an exponential law "
        "holds over fewer than 100 layers, that of 100 by this law",
        _explosion,
        operator.gt,
        EXPLOSION,
        "A power law would need an exponent above 3.3; the published ones are below 1. An "
        "exponential needs 0.046 a layer; that of batch normalisation is 0.2.",
    ),
    Criterion(
        "exploding signal",
        "factor by which the second half of the depth multiplies the root mean square",
        _doubling("log_nu2", 0.5),
        operator.gt,
        EXPLOSION,
        "The sums of a normalised residual network multiply it by the root of 2.",
    ),
    Criterion(
        "vanishing signal",
        "the same factor",
        _doubling("log_nu2", 0.5),
        operator.lt,
        1.0 / EXPLOSION,
        "What biases add is then soon larger than what comes from the images.",
    ),
)


def findings(curves: Curves, depths: np.ndarray, ends: Ends) -> tuple[Finding, ...]:
    """Return what each row of `CRITERIA` says."""
    found = []
    for criterion in CRITERIA:
        value = criterion.value(curves, depths, ends)
        if value is not None and math.isnan(value):
            value = None
        holds = value is not None and bool(criterion.compare(value, criterion.threshold))
        found.append(Finding(criterion.verdict, value, criterion.threshold, holds))
    return tuple(found)


def verdict(found: tuple[Finding, ...]) -> str:
    """Return the names of the pathologies, or `WELL_BEHAVED`.

    Example:
        >>> verdict((Finding("exploding sensitivity", 400.0, 10.0, True),))
        'exploding sensitivity'
        >>> verdict((Finding("exploding sensitivity", 2.0, 10.0, False),))
        'well-behaved'
    """
    return ", ".join(finding.verdict for finding in found if finding.holds) or WELL_BEHAVED


def by_name(found: tuple[Finding, ...]) -> Mapping[str, Finding]:
    """Return findings by the pathology."""
    return {finding.verdict: finding for finding in found}
