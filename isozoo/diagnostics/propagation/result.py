"""What is measured of a network's propagation, simulated or that of a model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from isozoo.diagnostics.propagation.curves import Curve, Curves, curves
from isozoo.diagnostics.propagation.fits import Fit, by_delta_chi, fits
from isozoo.diagnostics.propagation.moments import MEASURED
from isozoo.diagnostics.propagation.verdicts import Ends, Finding, findings, verdict
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.showing import number, table
from isozoo.errors import DiagnosticsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Setting = str | int | float | bool


@dataclasses.dataclass(frozen=True)
class Propagation(Result):
    """Moments, effective ranks and sensitivity over depth, how they grow, and a verdict.

    Args:
        model: The network.
        setting: How it was measured, by name.
        depths: Layers, residual units or, of a model, activations, counted from 1.
        names: The layers of a model that were measured; empty for a simulation.
        locations: Places in a unit, in order; of a model only `"output"`.
        curves: By measure, see `isozoo.diagnostics.propagation.curves.MEASURES`, and location.
        fits: Laws of growth of the sensitivity.
        findings: What each criterion says.
    """

    measure = "propagation"

    setting: dict[str, Setting]
    depths: np.ndarray
    names: tuple[str, ...]
    locations: tuple[str, ...]
    curves: dict[str, dict[str, Curve]]
    fits: tuple[Fit, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """The pathologies that were found, or `"well-behaved"`."""
        return verdict(self.findings)

    def curve(self, measure: str, location: str | None = None) -> Curve:
        """Return one measure over depth.

        Args:
            measure: Key of `curves`.
            location: Place in the unit; the last one at which it was measured if None.

        Raises:
            DiagnosticsError: It was not measured there.
        """
        found = self.curves.get(measure, {})
        places = [place for place in self.locations if place in found]
        if not places or (location is not None and location not in found):
            raise DiagnosticsError(
                f"asked for {measure} at {location or 'the end'}, which was not measured; there "
                f"is: {', '.join(places) or ', '.join(self.curves)}"
            )
        return found[location or places[-1]]

    def fit(self, law: str) -> Fit | None:
        """Return the fit of a law, or None."""
        return next((fit for fit in self.fits if fit.law == law), None)

    def beside(self, *others: Propagation) -> Comparison:
        """Return this network and others in one result: before and after, or a comparison."""
        found = (self, *others)
        return Comparison(", ".join(one.model for one in found), found)

    def table(self) -> Table:
        """Return the criteria, what was measured for them, and how sensitivity grows."""
        found = table(
            "", "measured", "threshold", "", right=("measured", "threshold"),
            title=f"{self.model}: {self.verdict}",
        )  # fmt: skip
        for finding in self.findings:
            value = "not measured" if finding.value is None else number(finding.value)
            mark = "yes" if finding.holds else "no"
            found.add_row(finding.verdict, value, number(finding.threshold), mark)
        for fit in self.fits:
            found.add_row(f"chi: {fit.law}", number(fit.coefficient), "", f"R2 {fit.r2:.3f}")
        return found

    def plot(self) -> Figure:
        """Return the panels of the paper's figures.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        from isozoo.diagnostics.propagation.plots import plot

        return plot([self])


@dataclasses.dataclass(frozen=True)
class Comparison(Result):
    """The propagation of several networks side by side.

    Args:
        model: Their names.
        networks: What was measured of each.
    """

    measure = "propagation_compared"

    networks: tuple[Propagation, ...]

    def table(self) -> Table:
        """Return a row for each network: what the criteria are of, and the verdict."""
        names = [finding.verdict for finding in self.networks[0].findings]
        found = table("NETWORK", *names, "VERDICT", right=names, title="propagation")
        for network in self.networks:
            values = ["" if f.value is None else number(f.value) for f in network.findings]
            found.add_row(network.model, *values, network.verdict)
        return found

    def plot(self) -> Figure:
        """Return sensitivity, its increments, effective rank and varying share of each.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        from isozoo.diagnostics.propagation.plots import plot

        return plot(self.networks)


def assembled(
    model: str,
    setting: dict[str, Setting],
    raw: np.ndarray,
    depths: np.ndarray,
    locations: tuple[str, ...],
    names: tuple[str, ...] = (),
    branch: tuple[str, int] | None = None,
) -> Propagation:
    """Return the result that measured moments make.

    Args:
        model: The network.
        setting: How it was measured.
        raw: `(simulations, depths, locations, moments)`, in the order of `MEASURED`.
        depths: `(depths,)`.
        locations: Places in a unit.
        names: Layers of a model.
        branch: Of a residual network, the location at the end of a branch's layer and the number
            of its layers, for the theory's power law.
    """
    found = curves(raw, MEASURED, locations)
    ranked = [place for place in locations if place in found["reff_signal"]]
    ends = Ends(locations[-1], ranked[-1] if ranked else locations[-1])
    log_chi = found["log_chi"][ends.end].mean
    laws = fits(depths, log_chi)
    if branch and laws:
        laws += (
            by_delta_chi(depths, log_chi, _mean_delta_chi(found, locations, branch[0]), branch[1]),
        )
    return Propagation(
        model, setting, depths, names, locations, _plain(found), laws, findings(found, depths, ends)
    )


def _mean_delta_chi(found: Curves, locations: tuple[str, ...], end: str) -> float:
    # As the original does: the ratio of the mean sensitivities, not the mean of the ratios.
    chi = found["chi"]
    return float((chi[end].mean / chi[locations[0]].mean).mean())


def _plain(found: Curves) -> dict[str, dict[str, Curve]]:
    return {measure: dict(places) for measure, places in found.items()}
