"""The picture of the study of VGG: both networks in a panel for each measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from isozoo.diagnostics.landscapes import draw as draw_landscape
from isozoo.diagnostics.showing import figure
from isozoo.diagnostics.walks import draw_ranges

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from isozoo.experiments.vgg import Measured, Study


def _accuracy(axes: Any, found: Measured) -> None:
    epochs = range(1, len(found.accuracy) + 1)
    axes.plot(epochs, [100 * share for share in found.accuracy], marker="o", label=found.network)
    axes.set_xlabel("epoch")


def _ranges(variant: str, name: str) -> Callable[[Any, Measured], None]:
    def draw(axes: Any, found: Measured) -> None:
        measured = getattr(found, variant)
        draw_ranges(axes, measured.steps, getattr(measured, name), found.network)

    return draw


def _beta(variant: str) -> Callable[[Any, Measured], None]:
    def draw(axes: Any, found: Measured) -> None:
        measured = getattr(found, variant)
        axes.plot(measured.steps, measured.beta, marker=".", label=found.network)
        axes.set_xlabel("training step")

    return draw


def _shift(variant: str, name: str) -> Callable[[Any, Measured], None]:
    def draw(axes: Any, found: Measured) -> None:
        values = getattr(getattr(found, variant), name).mean(axis=0)
        axes.plot(values, marker="o", label=found.network)
        axes.set_xlabel("layer, from the input")

    return draw


def _distance(axes: Any, found: Measured) -> None:
    axes.plot(found.distances.distance[-1], marker="o", label=found.network)
    axes.set_xlabel("layer, from the input")


def _drift(axes: Any, found: Measured) -> None:
    axes.plot(np.nanmean(found.activations.drift, axis=0), marker="o", label=found.network)
    axes.set_xlabel("layer, from the input")


#: Panels: title, whether the axis is logarithmic, and what draws one network.
PANELS: tuple[tuple[str, bool, Callable[[Any, Measured], None]], ...] = (
    ("validation accuracy in %", False, _accuracy),
    ("loss range, exact", False, _ranges("exact", "loss_range")),
    ("gradient predictiveness, exact", True, _ranges("exact", "predictiveness")),
    ("effective beta-smoothness, exact", True, _beta("exact")),
    ("distance from the start", False, _distance),
    ("loss range, notebook", True, _ranges("notebook", "loss_range")),
    ("gradient predictiveness, notebook", True, _ranges("notebook", "predictiveness")),
    ("largest difference of gradients, notebook", True, _beta("notebook")),
    ("covariate shift: L2, exact", True, _shift("shift", "l2")),
    ("covariate shift: cosine, exact", False, _shift("shift", "cosine")),
    ("covariate shift: cosine, notebook", False, _shift("shift_notebook", "cosine")),
    ("drift of what layers are given", False, _drift),
)


def draw_study(study: Study) -> Figure:
    """Return a panel for each measure with both networks, and both landscapes.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    pair = (study.plain, study.normalised)
    picture, panels = figure(4, 4)
    flat = list(panels.ravel())
    for axes, (title, logarithmic, draw) in zip(flat, PANELS, strict=False):
        for measured in pair:
            draw(axes, measured)
        if logarithmic:
            axes.set_yscale("log")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
    for axes, measured in zip(flat[len(PANELS) :], pair, strict=False):
        draw_landscape(picture, axes, measured.landscape)
    for axes in flat[len(PANELS) + len(pair) :]:
        axes.set_axis_off()
    flat[0].legend()
    return picture
