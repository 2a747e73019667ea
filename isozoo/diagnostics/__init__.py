"""The laboratory: measures of why a network trains, on any functional Keras image model.

Each measure is a function of a model and data that returns a `Result`, which is printed, drawn,
saved and read again. Importing this package imports neither Keras nor NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.diagnostics.callbacks import (
        ActivationsCallback,
        CovariateShiftCallback,
        DistancesCallback,
        SmoothnessCallback,
    )
    from isozoo.diagnostics.cost import Cost
    from isozoo.diagnostics.distributions import Activations, activations
    from isozoo.diagnostics.explanation import Explanation, explain
    from isozoo.diagnostics.filter_report import FilterReport, filters
    from isozoo.diagnostics.gradients import loss_and_gradients, value_and_jvp, value_and_vjp
    from isozoo.diagnostics.isometry import Isometry, Jacobian, measure_isometry, measure_jacobian
    from isozoo.diagnostics.landscapes import Landscape, landscape
    from isozoo.diagnostics.measures import MEASURES, compare, diagnose, read_result
    from isozoo.diagnostics.propagation import Propagation, model_propagation, simulate
    from isozoo.diagnostics.pruning import prune
    from isozoo.diagnostics.result import Result
    from isozoo.diagnostics.shifts import CovariateShift, covariate_shift
    from isozoo.diagnostics.singular_spectra import Spectra, spectra
    from isozoo.diagnostics.smooth import smoothness
    from isozoo.diagnostics.subject import Subject, open_subject
    from isozoo.diagnostics.taps import Step, steps, stream
    from isozoo.diagnostics.travel import Distances, distances
    from isozoo.diagnostics.walks import Smoothness

_HOME = {
    "MEASURES": ".measures",
    "Activations": ".distributions",
    "ActivationsCallback": ".callbacks",
    "Cost": ".cost",
    "CovariateShift": ".shifts",
    "CovariateShiftCallback": ".callbacks",
    "Distances": ".travel",
    "DistancesCallback": ".callbacks",
    "Explanation": ".explanation",
    "FilterReport": ".filter_report",
    "Isometry": ".isometry",
    "Jacobian": ".isometry",
    "Landscape": ".landscapes",
    "Propagation": ".propagation",
    "Result": ".result",
    "Smoothness": ".walks",
    "SmoothnessCallback": ".callbacks",
    "Spectra": ".singular_spectra",
    "Step": ".taps",
    "Subject": ".subject",
    "activations": ".distributions",
    "compare": ".measures",
    "covariate_shift": ".shifts",
    "diagnose": ".measures",
    "distances": ".travel",
    "explain": ".explanation",
    "filters": ".filter_report",
    "landscape": ".landscapes",
    "loss_and_gradients": ".gradients",
    "measure_isometry": ".isometry",
    "measure_jacobian": ".isometry",
    "model_propagation": ".propagation",
    "open_subject": ".subject",
    "prune": ".pruning",
    "read_result": ".measures",
    "simulate": ".propagation",
    "smoothness": ".smooth",
    "spectra": ".singular_spectra",
    "steps": ".taps",
    "stream": ".taps",
    "value_and_jvp": ".gradients",
    "value_and_vjp": ".gradients",
}

__all__ = [
    "MEASURES",
    "Activations",
    "ActivationsCallback",
    "Cost",
    "CovariateShift",
    "CovariateShiftCallback",
    "Distances",
    "DistancesCallback",
    "Explanation",
    "FilterReport",
    "Isometry",
    "Jacobian",
    "Landscape",
    "Propagation",
    "Result",
    "Smoothness",
    "SmoothnessCallback",
    "Spectra",
    "Step",
    "Subject",
    "activations",
    "compare",
    "covariate_shift",
    "diagnose",
    "distances",
    "explain",
    "filters",
    "landscape",
    "loss_and_gradients",
    "measure_isometry",
    "measure_jacobian",
    "model_propagation",
    "open_subject",
    "prune",
    "read_result",
    "simulate",
    "smoothness",
    "spectra",
    "steps",
    "stream",
    "value_and_jvp",
    "value_and_vjp",
]

__getattr__, __dir__ = later(__name__, _HOME)
