"""What is made of the measured moments: curves over depth, with their spread over simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

#: Levels of the quantiles of a curve: the median, and what holds nine simulations in ten.
LEVELS = (0.05, 0.5, 0.95)


class Curve(NamedTuple):
    """One measure over depth.

    Args:
        mean: Mean over simulations, `(depths,)`.
        spread: Standard deviation over simulations, `(depths,)`.
        quantiles: `(levels, depths)`, of the levels `LEVELS`.
    """

    mean: np.ndarray
    spread: np.ndarray
    quantiles: np.ndarray


Curves = Mapping[str, Mapping[str, Curve]]
Raw = Mapping[str, np.ndarray]


def _log_chi(raw: Raw) -> np.ndarray:
    return (raw["log_mu2_noise"] - raw["log_mu2"]) / 2


def _from_first(raw: Raw) -> np.ndarray:
    log_chi = _log_chi(raw)
    return np.exp(log_chi - log_chi[..., :1])


def _from_last(raw: Raw) -> np.ndarray:
    log_chi = _log_chi(raw)
    return np.exp(np.diff(log_chi, axis=-1, prepend=log_chi[..., :1]))


def _varying(raw: Raw) -> np.ndarray:
    # Of a signal that is 0 everywhere, too, nothing varies.
    found = np.exp(raw["log_mu2"] - raw["log_nu2"])
    return np.where(np.isneginf(raw["log_mu2"]), 0.0, found)


#: The measures that are not taken everywhere.
RANKS = ("reff_signal", "reff_noise")

#: The measures, each from moments `(simulations, depths, locations)` to numbers of that shape.
#: Logarithms are natural ones. `chi` is the normalised sensitivity, `delta_chi` its ratio to the
#: first location of the unit, `step_chi` its ratio to the location before; `varying` is
#: mu2 / nu2, the share of the signal's power that differs between images and positions.
MEASURES: Mapping[str, Callable[[Raw], np.ndarray]] = {
    "log_nu1_abs": lambda raw: raw["log_nu1_abs"],
    "log_nu2": lambda raw: raw["log_nu2"],
    "log_nu4": lambda raw: raw["log_nu4"],
    "log_mu2": lambda raw: raw["log_mu2"],
    "log_mu4": lambda raw: raw["log_mu4"],
    "log_mu2_noise": lambda raw: raw["log_mu2_noise"],
    "log_chi": _log_chi,
    "nu1_abs": lambda raw: np.exp(raw["log_nu1_abs"]),
    "mu4": lambda raw: np.exp(raw["log_mu4"]),
    "chi": lambda raw: np.exp(_log_chi(raw)),
    "delta_chi": _from_first,
    "step_chi": _from_last,
    "varying": _varying,
    "reff_signal": lambda raw: raw["reff_signal"],
    "reff_noise": lambda raw: raw["reff_noise"],
}


def summary(values: np.ndarray) -> Curve:
    """Return the curve of numbers `(simulations, depths)`.

    Example:
        >>> summary(np.array([[1.0], [3.0]])).spread
        array([1.])
    """
    return Curve(values.mean(axis=0), values.std(axis=0), np.quantile(values, LEVELS, axis=0))


def curves(raw: np.ndarray, names: Sequence[str], locations: Sequence[str]) -> Curves:
    """Return the curves of each measure at each location.

    Args:
        raw: Moments `(simulations, depths, locations, moments)`.
        names: The names of the moments.
        locations: The names of the locations. One where ranks were not taken has none.
    """
    by_name = {name: raw[..., i] for i, name in enumerate(names)}
    found = {}
    # Logarithms of 0 are minus infinity, and numbers beyond float64 infinite: both are what is.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for measure, derive in MEASURES.items():
            values = derive(by_name)
            found[measure] = {
                location: summary(values[..., i])
                for i, location in enumerate(locations)
                if measure not in RANKS or not np.isnan(values[..., i]).all()
            }
    return found
