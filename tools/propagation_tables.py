"""What the documents say of signal propagation; `docs_tables.py` puts it into them.

The numbers are from what ``python benchmarks/propagation.py`` wrote to
``benchmarks/results/diagnostics/propagation.json``.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from performance_tables import NOT_MEASURED, ROOT
from propagation_claims import claims
from propagation_results import law, number, record, result, value_of
from tables import table

from isozoo.diagnostics.propagation import CRITERIA, Propagation, plot, simulation_cost
from isozoo.diagnostics.propagation.verdicts import by_name
from isozoo.diagnostics.result import png

PUBLISHED = ROOT / "tests" / "golden" / "moments_published.json"

#: Published measures, and the curve and location that repeat them; `{activation}` is where the
#: first activation of a unit is, `{end}` the end of its first layer.
REPEATED = {
    "delta_chi": ("delta_chi", "{end}"),
    "delta_bn_chi": ("delta_chi", "normalization"),
    "delta_phi_chi": ("step_chi", "activation"),
    "chi": ("chi", None),
    "log10_chi": ("log10_chi", None),
    "reff_signal": ("reff_signal", "activation"),
    "reff_noise": ("reff_noise", "activation"),
    "mu4_z": ("mu4", "normalization"),
    "nu1_abs_z": ("nu1_abs", "normalization"),
}
#: Published depths that are shown.
SHOWN = (10, 50, 200, 500)
#: Measures that are shown; all are in the comparison of `agreement`.
SHOWN_MEASURES = ("delta_chi", "chi", "log10_chi", "reff_signal", "reff_noise", "mu4_z")
#: What has another largest value in a network of another width, and so is not compared then.
OF_WIDTH = ("reff_noise",)
#: The fewest simulations that the authors publish the mean of.
THEIRS = 200
#: Side of the images of the simulations of convolutional networks here, and of those published.
PIXELS = (16, 32)
_FEED_FORWARD = (
    "vanilla", "bn-ff", "in-ff", "ln-ff", "gn-ff", "bin-ff", "isonet",
    "isonet-orthogonal",
)  # fmt: skip
_RESIDUAL = (
    "vanilla-res", "bn-res", "in-res", "ln-res", "gn-res", "bin-res", "fixup", "r-isonet",
)  # fmt: skip
_DIFFERENTIATED = ("ln-ff-differentiated", "in-ff-differentiated")


class Point(NamedTuple):
    """A number of the authors' and ours.

    Args:
        measure: What it is.
        depth: Where.
        mean: Ours.
        spread: Standard deviation between our simulations, of the sample.
        theirs: The authors' mean.
        their_spread: The standard deviation between theirs.
        simulations: How many are ours.
    """

    measure: str
    depth: int
    mean: float
    spread: float
    theirs: float
    their_spread: float
    simulations: int

    @property
    def z(self) -> float:
        """The difference of the two means, in standard errors by the authors' deviation."""
        error = self.their_spread * math.sqrt(1 / self.simulations + 1 / THEIRS)
        return (self.mean - self.theirs) / error


def points(key: str) -> list[Point]:
    """Return all numbers that the authors published of a network, beside ours."""
    row, found = record()["rows"].get(key), result(key)
    if not row or not row.get("like") or found is None:
        return []
    theirs = json.loads(PUBLISHED.read_text("utf-8"))[row["like"]]
    all_points = _histograms(theirs, found) if "depth" in theirs else _curves(theirs, found)
    left_out = OF_WIDTH if "width" in row["reduced"] else ()
    return [point for point in all_points if point.measure not in left_out]


def _curves(theirs: Mapping[str, Any], found: Propagation) -> Iterator[Point]:
    inside = [place for place in found.locations if place != "sum"]
    for measure, (name, place) in REPEATED.items():
        # Of a residual unit the batch normalisation is before the activation as well.
        location = place and place.format(end=inside[-1])
        for depth, (mean, spread) in theirs.get(measure, {}).items():
            ours = _value(found, name, location, int(depth))
            if ours:
                yield Point(measure, int(depth), *ours, mean, spread, _simulations(found))


def _histograms(theirs: Mapping[str, Any], found: Propagation) -> Iterator[Point]:
    for measure in ("log_nu2_signal", "log_mu2_noise"):
        name = measure.removesuffix("_signal")
        pairs = zip(theirs["depth"], theirs[f"{measure}_mean_std"], strict=True)
        for depth, (mean, spread) in pairs:
            ours = _value(found, name, None, depth)
            if ours:
                yield Point(measure, depth, *ours, mean, spread, _simulations(found))


def _simulations(found: Propagation) -> int:
    return int(found.setting["simulations"])


def _value(
    found: Propagation, name: str, place: str | None, depth: int
) -> tuple[float, float] | None:
    at = np.flatnonzero(found.depths == depth)
    if not at.size:
        return None
    curve = found.curve("log_chi" if name == "log10_chi" else name, place)
    unit = np.log(10) if name == "log10_chi" else 1.0
    # Of so few simulations the deviation of the sample is not that of what they are drawn from.
    count = _simulations(found)
    sample = math.sqrt(count / (count - 1)) if count > 1 else math.nan
    return float(curve.mean[at[0]]) / unit, sample * float(curve.spread[at[0]]) / unit


def published() -> str:
    """Return the authors' numbers beside ours, at some depths."""
    rows = []
    for key in _repeated():
        found = result(key)
        for point in points(key):
            shown = point.measure in SHOWN_MEASURES or point.measure.startswith("log_")
            if shown and point.depth in SHOWN:
                rows.append((
                    f"`{key}`", point.measure, str(point.depth),
                    f"{number(point.mean)} ± {number(point.spread)}",
                    f"{number(point.theirs)} ± {number(point.their_spread)}",
                    f"{point.z:+.1f}",
                ))  # fmt: skip
        assert found is not None
    head = "network|measure|depth:|here:|the authors:|z:"
    return table(head, rows) if rows else NOT_MEASURED


def _repeated() -> list[str]:
    return [key for key, row in record()["rows"].items() if row.get("like")]


def agreement() -> str:
    """Return how many of the authors' numbers are repeated, network by network."""
    rows = []
    for key in _repeated():
        found, all_points = result(key), points(key)
        row = record()["rows"][key]
        assert found is not None
        within = sum(abs(point.z) <= 2 for point in all_points)
        largest = max(abs(point.z) for point in all_points)
        rows.append((
            f"`{key}`", _size(found), str(found.setting["simulations"]),
            row["reduced"] or "as published", f"{within} of {len(all_points)}",
            f"{largest:.1f}",
        ))  # fmt: skip
    head = "network|size|simulations:|against the publication|abs(z) at most 2:|largest abs(z):"
    return table(head, rows) if rows else NOT_MEASURED


def _size(found: Propagation) -> str:
    setting = found.setting
    kind = "fully connected" if setting["kernel_size"] == 1 else f"{setting['boundary']}"
    return f"{kind}, depth {setting['depth']}, width {setting['width']}, batch {setting['batch']}"


def _described(keys: Sequence[str]) -> str:
    rows = []
    for key in keys:
        found = result(key)
        if found is None:
            continue
        said = by_name(found.findings)
        chi = np.exp(found.curve("log_chi").mean[-1])
        rows.append((
            f"{found.model} (`{key}`)", number(chi), law(found),
            *(value_of(said[name].value) for name in _NUMBERS),
            *([_statistics(found)] if found.names else []),
            f"**{found.verdict}**" if found.verdict != "well-behaved" else found.verdict,
        ))  # fmt: skip
    mode = "|statistics" if keys == _models() else ""
    head = f"network|χ at the end:|χ grows as|effective rank:|varying share:|signal:{mode}|verdict"
    return table(head, rows) if rows else NOT_MEASURED


def _statistics(found: Propagation) -> str:
    return "of the batch" if found.setting["training"] else "none"


def _conditions(keys: Sequence[str]) -> str:
    """Return the sizes and settings of simulations, all that there are among some."""
    known = [one for one in map(result, keys) if one is not None]
    if not known:
        return NOT_MEASURED
    sizes = {f"{_size(one)}, epsilon {one.setting['epsilon']}" for one in known}
    counts = sorted({_simulations(one) for one in known})
    size, said = "; ".join(sorted(sizes)), " or ".join(map(str, counts))
    return f"{size}; images of {PIXELS[0]} pixels; simulations of each: {said}.\n"


_NUMBERS = ("one-dimensional signal", "zero-dimensional signal", "exploding signal")


def _models() -> list[str]:
    return [key for key in record()["rows"] if key.endswith(("trained", "untrained"))]


def criteria() -> str:
    """Return the criteria, their thresholds and the reasons for these."""
    return table(
        "verdict|if|threshold:|why",
        ((c.verdict, c.measures, f"{c.threshold:.3g}", c.reason) for c in CRITERIA),
    )


def cost() -> str:
    """Return what a simulation costs at the published size, and how long that is by ours."""
    line = f"> {simulation_cost('vanilla', width=512, depth=200, batch=64, simulations=1)}"
    row, found = record()["rows"].get("bn-ff-conv"), result("bn-ff-conv")
    if row is None or found is None:
        return f"{line}\n"
    ours = int(found.setting["width"]) ** 2 * int(found.setting["batch"]) * PIXELS[0] ** 2
    times = 512**2 * 64 * PIXELS[1] ** 2 / ours
    minutes = times * row["cpu_seconds"] / _simulations(found) / 60
    return f"{line}; by the time the narrower one took, about {minutes:.0f} minutes of one core\n"


def machine() -> str:
    """Return where and on what it was measured."""
    found = record()
    if "machine" not in found:
        return NOT_MEASURED
    seconds = sum(row["cpu_seconds"] for row in found["rows"].values())
    scales = {row["scale"] for row in found["rows"].values()}
    return (
        f"{len(found['rows'])} networks, {seconds / 60:.0f} minutes of one core of "
        f"{found['machine']['processor']}, pictures of {found['data']}, "
        f"scale: {', '.join(sorted(scales))}.\n"
    )


REGIONS: dict[str, Callable[[], str]] = {
    "propagation-published": published,
    "propagation-agreement": agreement,
    "propagation-feed-forward": functools.partial(_described, _FEED_FORWARD),
    "propagation-feed-forward-conditions": functools.partial(_conditions, _FEED_FORWARD),
    "propagation-residual-conditions": functools.partial(_conditions, _RESIDUAL),
    "propagation-residual": functools.partial(_described, _RESIDUAL),
    "propagation-differentiated": functools.partial(_described, _DIFFERENTIATED),
    "propagation-models": lambda: _described(_models()),
    "propagation-criteria": criteria,
    "propagation-claims": claims,
    "propagation-cost": cost,
    "propagation-machine": machine,
}

#: The pictures, and the networks in them.
PICTURES: Mapping[str, Callable[[], Sequence[str]]] = {
    "feed-forward": lambda: _FEED_FORWARD,
    "residual": lambda: _RESIDUAL,
    "bn-res-fc": lambda: ("bn-res-fc",),
    "models": _models,
}


def pictures() -> dict[str, bytes]:
    """Return the pictures of what was measured, by name."""
    found = {}
    for name, keys in PICTURES.items():
        shown = [one for one in map(result, keys()) if one is not None]
        if shown:
            found[f"propagation/{name}"] = png(plot(shown))
    return found
