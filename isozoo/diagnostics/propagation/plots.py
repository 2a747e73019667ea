"""Pictures of propagation: the panels of the paper's figures, and networks beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isozoo.diagnostics.propagation.curves import Curve
from isozoo.diagnostics.showing import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from isozoo.diagnostics.propagation.result import Propagation


class Panel(NamedTuple):
    """One panel that compares networks.

    Args:
        measure: Key of a result's curves.
        title: What is drawn.
        log: Whether the measure is a natural logarithm, drawn on a logarithmic axis.
        scale: Scale of the vertical axis.
    """

    measure: str
    title: str
    log: bool = False
    scale: str = "log"


COMPARED = (
    Panel("log_chi", "normalised sensitivity χ", log=True),
    Panel("delta_chi", "increment δχ of a layer", scale="linear"),
    Panel("reff_signal", "effective rank of the signal"),
    Panel("varying", "share of the signal's power that varies, μ₂/ν₂"),
)


def plot(results: Sequence[Propagation]) -> Figure:
    """Draw one network as the paper does, or several beside each other.

    Args:
        results: What was measured; at least one.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        ValueError: There is nothing to draw.
    """
    if not results:
        raise ValueError("nothing to draw: give at least one result")
    return _alone(results[0]) if len(results) == 1 else _compared(results)


def _line(axes: Any, depths: np.ndarray, curve: Curve, log: bool = False, **style: Any) -> None:
    """Draw the mean, and a band that holds nine simulations in ten."""
    low, _, high = curve.quantiles
    with np.errstate(over="ignore"):
        mean, low, high = (np.exp(v) if log else v for v in (curve.mean, low, high))
    (line,) = axes.plot(depths, mean, **style)
    axes.fill_between(depths, low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def _compared(results: Sequence[Propagation]) -> Figure:
    picture, panels = figure(2, 2)
    for axes, panel in zip(panels.flat, COMPARED, strict=True):
        for number, result in enumerate(results):
            places = result.curves.get(panel.measure, {})
            where = _increment(result) if panel.measure == "delta_chi" else None
            if where in places or (where is None and places):
                curve = result.curve(panel.measure, where)
                style = {"label": result.model, "color": f"C{number % 10}"}
                dash = "-" if number < 10 else "--"
                _line(axes, result.depths, curve, panel.log, linestyle=dash, **style)
        axes.set(title=panel.title, xlabel=_unit(results), yscale=panel.scale)
        axes.grid(alpha=0.3)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=4)
    return picture


def _increment(result: Propagation) -> str:
    """Return the location at the end of a unit's first layer."""
    inside = [place for place in result.locations if "sum" not in place]
    return inside[-1]


def _unit(results: Sequence[Propagation]) -> str:
    if any(result.names for result in results):
        return "activation"
    return "residual unit" if any("sum" in r.locations for r in results) else "layer"


def _alone(result: Propagation) -> Figure:
    picture, panels = figure(2, 2)
    increments, growth, ranks, shape = panels.flat
    depths = result.depths
    for place in result.locations[1:]:
        if "sum" not in place:
            curve = result.curve("delta_chi", place)
            _line(increments, depths, curve, label=f"up to {place}")
    increments.axhline(1.0, color="0.5", linewidth=0.8)
    increments.set_title("increment δχ from the start of a layer")
    _line(growth, depths, result.curve("log_chi"), log=True, label="χ")
    for fit in result.fits:
        x = depths if fit.law == "exponential" else np.log(depths)
        label = f"{fit.law} {fit.coefficient:.3f}, R² {fit.r2:.3f}"
        values = np.exp(np.minimum(fit.offset + fit.coefficient * x, 700.0))
        growth.plot(depths, values, "--", linewidth=1, label=label)
    growth.set(title=f"normalised sensitivity χ: {result.verdict}", yscale="log")
    for name, what in (("reff_signal", "signal"), ("reff_noise", "noise")):
        _line(ranks, depths, result.curve(name), label=what)
    ranks.set(title="effective rank", yscale="log")
    before = _before_activation(result)
    for name, what in (("mu4", "μ₄"), ("nu1_abs", "ν₁(|·|)")):
        _line(shape, depths, result.curve(name, before), label=what)
    shape.set(title=f"moments at {before}", yscale="log")
    for axes in panels.flat:
        axes.set_xlabel(_unit([result]))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    picture.suptitle(result.model)
    return picture


def _before_activation(result: Propagation) -> str:
    places = result.locations
    if "activation" in places:
        return places[places.index("activation") - 1]
    return places[-1]
