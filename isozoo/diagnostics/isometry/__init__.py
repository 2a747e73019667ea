"""Norms, angles and the Jacobian: how nearly a network, or a part of it, is an isometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.diagnostics.isometry.flow import Isometry, isometry_cost, measure_isometry
    from isozoo.diagnostics.isometry.jacobian import Jacobian, jacobian_cost, measure_jacobian
    from isozoo.diagnostics.isometry.projections import singular_values

_HOME = {
    "Isometry": ".flow",
    "Jacobian": ".jacobian",
    "isometry_cost": ".flow",
    "jacobian_cost": ".jacobian",
    "measure_isometry": ".flow",
    "measure_jacobian": ".jacobian",
    "singular_values": ".projections",
}

__all__ = [
    "Isometry",
    "Jacobian",
    "isometry_cost",
    "jacobian_cost",
    "measure_isometry",
    "measure_jacobian",
    "singular_values",
]

__getattr__, __dir__ = later(__name__, _HOME)
