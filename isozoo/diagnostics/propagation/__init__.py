"""How signal and noise propagate with depth, simulated or in any Keras model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.diagnostics.propagation.kinds import KINDS, Kind
    from isozoo.diagnostics.propagation.models import model_propagation, propagation_cost
    from isozoo.diagnostics.propagation.plots import plot
    from isozoo.diagnostics.propagation.result import Propagation
    from isozoo.diagnostics.propagation.simulation import simulate, simulation_cost
    from isozoo.diagnostics.propagation.verdicts import CRITERIA

_HOME = {
    "CRITERIA": ".verdicts",
    "KINDS": ".kinds",
    "Kind": ".kinds",
    "Propagation": ".result",
    "model_propagation": ".models",
    "plot": ".plots",
    "propagation_cost": ".models",
    "simulate": ".simulation",
    "simulation_cost": ".simulation",
}

__all__ = [
    "CRITERIA",
    "KINDS",
    "Kind",
    "Propagation",
    "model_propagation",
    "plot",
    "propagation_cost",
    "simulate",
    "simulation_cost",
]


__getattr__, __dir__ = later(__name__, _HOME)
