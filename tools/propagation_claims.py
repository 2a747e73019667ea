"""What is claimed of the propagation of signals, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from propagation_results import law, result, value_of
from tables import table

from isozoo.diagnostics.propagation import Propagation
from isozoo.diagnostics.propagation.fits import WELL_FITTED
from isozoo.diagnostics.propagation.verdicts import by_name


class Claim(NamedTuple):
    """Something that is said of a network.

    Args:
        says: What.
        by: Who says it.
        keys: Rows that it is checked on, simulations and our own networks.
        holds: Whether a result agrees.
        shows: The numbers that decide.
    """

    says: str
    by: str
    keys: tuple[str, ...]
    holds: Callable[[Propagation], bool]
    shows: Callable[[Propagation], str]


def _finding(name: str) -> Callable[[Propagation], bool]:
    return lambda found: by_name(found.findings)[name].holds


def _shown(name: str, words: str) -> Callable[[Propagation], str]:
    return lambda found: f"{words} {value_of(by_name(found.findings)[name].value)}"


def _fits(found: Propagation, law: str) -> float:
    fit = found.fit(law)
    return fit.r2 if fit else -1.0


def _is_power(found: Propagation) -> bool:
    return (
        _fits(found, "power law") >= WELL_FITTED
        and _fits(found, "power law") > _fits(found, "exponential")
        and "sensitivity" not in found.verdict
    )


def _powers(found: Propagation) -> str:
    fitted, predicted = found.fit("power law"), found.fit("power law by delta chi")
    text = f"τ {fitted.coefficient:.3f} fitted, R² {fitted.r2:.3f}" if fitted else ""
    return text + (f", {predicted.coefficient:.3f} by δχ" if predicted else "")


def _between(found: Propagation) -> bool:
    instance, layer = result("in-ff"), result("ln-ff")
    if instance is None or layer is None:
        return False
    return _rate(layer) < _rate(found) < _rate(instance)


def _rates(found: Propagation) -> str:
    others = [(name, result(f"{name}-ff")) for name in ("in", "ln")]
    rates = [f"{name.upper()} {_percent(one)}" for name, one in others if one is not None]
    return f"χ grows by {_percent(found)} a layer ({', '.join(rates)})"


def _percent(found: Propagation) -> str:
    return f"{100 * np.expm1(_rate(found)):.1f} %"


def _rate(found: Propagation) -> float:
    """Return the growth of log chi over the second half of the depth, for each layer."""
    logs, depths = found.curve("log_chi").mean, found.depths
    return float((logs[-1] - np.interp(depths[-1] / 2, depths, logs)) / (depths[-1] / 2))


def _rank(found: Propagation) -> float:
    return float(found.curve("reff_signal").mean[-1])


def _as_low_as_bn(found: Propagation) -> bool:
    batch = result("bn-ff")
    return batch is not None and _rank(found) < 2 * _rank(batch)


def _ranks(found: Propagation) -> str:
    batch = result("bn-ff")
    beside = "" if batch is None else f" (BN {value_of(_rank(batch))})"
    return f"effective rank {value_of(_rank(found))}{beside}"


_LABATIE = "Labatie 2019"
_SLIDES = "slides, without numbers"
#: Qi et al. speak of isometry; the pathologies and the word "well-behaved" are Labatie's.
_EXPECTED = "nobody; expected of isometry"


def _states(name: str) -> tuple[str, str]:
    return f"{name}.untrained", f"{name}.trained"


CLAIMS = (
    Claim("The signal of a vanilla network becomes one-dimensional.", _LABATIE,
          ("vanilla-fc", "vanilla-conv", "vanilla", *_states("vanilla-101-w16")),
          _finding("one-dimensional signal"),
          _shown("one-dimensional signal", "effective rank")),
    Claim("The sensitivity of a feed-forward network with BN explodes exponentially.", _LABATIE,
          ("bn-ff-fc", "bn-ff-conv", "bn-ff", *_states("vanilla-bn-101-w16")),
          lambda found: _finding("exploding sensitivity")(found)
          and _fits(found, "exponential") > _fits(found, "power law"), law),
    Claim("The sensitivity of a ResNet with BN grows as a power of depth.", _LABATIE,
          ("bn-res-fc", "bn-res", *_states("resnet-101-w16")), _is_power, _powers),
    Claim("The sensitivity with IN explodes as with BN.", _SLIDES, ("in-ff",),
          _finding("exploding sensitivity"), law),
    Claim("The signal with IN becomes as low in rank as with BN.", _SLIDES, ("in-ff",),
          _as_low_as_bn, _ranks),
    Claim("The signal of a network with LN becomes zero-dimensional.", _SLIDES, ("ln-ff",),
          _finding("zero-dimensional signal"), _shown("zero-dimensional signal", "varying share")),
    Claim("GN is between LN and IN.", _SLIDES, ("gn-ff",), _between, _rates),
    Claim("Without normalisation the activations of a ResNet explode.", _SLIDES, ("vanilla-res",),
          _finding("exploding signal"), _shown("exploding signal", "second half multiplies by")),
    Claim("Without normalisation the signal of a ResNet becomes one-dimensional.", _SLIDES,
          ("vanilla-res",), _finding("one-dimensional signal"),
          _shown("one-dimensional signal", "effective rank")),
    Claim("ISONet at depth 101 has none of the pathologies.", _EXPECTED,
          _states("isonet-101-w16"),
          lambda found: found.verdict == "well-behaved", lambda found: found.verdict),
    Claim("R-ISONet at depth 101 has none of the pathologies.", _EXPECTED,
          _states("r-isonet-101-w16"),
          lambda found: found.verdict == "well-behaved", lambda found: found.verdict),
)  # fmt: skip


def outcome(claim: Claim, known: Mapping[str, Propagation]) -> str:
    """Return what became of a claim: it agrees only if all of its rows were measured and do."""
    against = [key for key, one in known.items() if not claim.holds(one)]
    missing = [key for key in claim.keys if key not in known]
    if missing:
        return f"not measured: {_listed(missing)}"
    if not against:
        return "agrees"
    return "does not agree" if len(against) == len(known) else f"partly: not {_listed(against)}"


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def claims() -> str:
    """Return what became of each claim."""
    rows = []
    for claim in CLAIMS:
        known = {key: one for key in claim.keys if (one := result(key)) is not None}
        shown = "; ".join(f"`{key}` {claim.shows(one)}" for key, one in known.items())
        rows.append((claim.says, claim.by, shown, outcome(claim, known)))
    return table("claim|claimed by|measured|outcome", rows)
