"""How the sensitivity grows with depth: as an exponential, or as a power."""

from __future__ import annotations

import dataclasses

import numpy as np

#: R2 from which a law is said to hold.
WELL_FITTED = 0.9


@dataclasses.dataclass(frozen=True)
class Fit:
    r"""A law of growth and how well it holds.

    $$\text{exponential: } \log\chi^l = a + \gamma\, l, \qquad
    \text{power law: } \log\chi^l = a + \tau \log l$$

    Args:
        law: `"exponential"`, `"power law"` or `"power law by delta chi"`.
        coefficient: The rate or the exponent.
        offset: The constant $a$.
        r2: Share of the variance of $\log\chi$ over depth that the law explains, at most 1. It is
            1 for a sensitivity that does not change.
        rmse: Root of the mean squared residual of $\log\chi$.
    """

    law: str
    coefficient: float
    offset: float
    r2: float
    rmse: float


def _goodness(y: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    residual, total = ((y - predicted) ** 2).mean(), ((y - y.mean()) ** 2).mean()
    # Below rounding there is nothing to explain.
    r2 = 1.0 - residual / total if total > 1e-12 * max(1.0, (y**2).mean()) else 1.0
    return float(r2), float(np.sqrt(residual))


def _line(law: str, x: np.ndarray, y: np.ndarray) -> Fit:
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    offset = float(y.mean() - slope * x.mean())
    return Fit(law, slope, offset, *_goodness(y, offset + slope * x))


def fits(depths: np.ndarray, log_chi: np.ndarray) -> tuple[Fit, ...]:
    """Return the least-squares fit of each law, or none of fewer than three depths.

    Args:
        depths: Numbers of layers or units, from 1.
        log_chi: Natural logarithm of the normalised sensitivity at these.

    Example:
        >>> depths = np.arange(1, 51)
        >>> exponential, power = fits(depths, 0.65 * np.log(depths))
        >>> round(power.coefficient, 6), round(power.r2, 6), exponential.r2 < power.r2
        (0.65, 1.0, True)
    """
    finite = np.isfinite(log_chi)
    x, y = np.asarray(depths, float)[finite], np.asarray(log_chi, float)[finite]
    if len(x) < 3:
        return ()
    return _line("exponential", x, y), _line("power law", np.log(x), y)


def tau(mean_delta_chi: float, branch_layers: int) -> float:
    r"""Return the exponent that the theory of residual networks with BN predicts.

    $$\tau = \tfrac12\left(\langle\delta\chi\rangle^{2H} - 1\right)$$

    Args:
        mean_delta_chi: Mean over depth of the ratio of sensitivities across a branch's layer.
        branch_layers: Number $H$ of layers of a residual branch.

    Reference:
        Labatie, ICML 2019, section 6.

    Example:
        >>> round(tau(1.2325, 2), 3)
        0.654
    """
    return (mean_delta_chi ** (2 * branch_layers) - 1) / 2


def by_delta_chi(
    depths: np.ndarray, log_chi: np.ndarray, mean_delta_chi: float, branch_layers: int
) -> Fit:
    """Return the power law with the exponent of `tau`, its offset fitted."""
    exponent = tau(mean_delta_chi, branch_layers)
    x, y = exponent * np.log(depths), np.asarray(log_chi, float)
    offset = float((y - x).mean())
    return Fit("power law by delta chi", exponent, offset, *_goodness(y, offset + x))
