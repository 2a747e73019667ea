"""The measures that can be asked for by name: each a row with its cost and its result."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from isozoo.errors import DiagnosticsError, unknown

if TYPE_CHECKING:
    import keras

    from isozoo.diagnostics.cost import Cost
    from isozoo.diagnostics.result import Result
    from isozoo.diagnostics.subject import Subject

#: Images whose Jacobians are measured, each a point of its own.
POINTS = 2


class Measure(NamedTuple):
    """A measure by name.

    Args:
        about: What it measures, in a few words.
        home: Module of the result's class, inside of `isozoo.diagnostics`.
        result: Name of that class.
        function: Name of the function that measures, in `home` or the module that it names.
        cost: Name of the function that says what it costs, there too.
        arguments: The arguments of a subject's measurement.
        costs: The arguments of its cost.
        usual: Whether it is measured where no measure is named.
        running: Whether it takes a network's running statistics as they are, so that a fresh one
            has to be lent those of the batch.
    """

    about: str
    home: str
    result: str
    function: str
    cost: str
    arguments: Callable[[Subject], tuple[Sequence[Any], dict[str, Any]]]
    costs: Callable[[Subject], Sequence[Any]]
    usual: bool = False
    running: bool = False

    def run(self, subject: Subject) -> Result:
        """Measure a subject."""
        from isozoo.diagnostics.calibration import batch_statistics

        positional, named = self.arguments(subject)
        lends = self.running and subject.fresh
        with batch_statistics(subject.model, subject.images) if lends else contextlib.nullcontext():
            found = _find(self.home, self.function)(*positional, **named)
        return dataclasses.replace(found, model=subject.label)

    def estimate(self, subject: Subject) -> Cost:
        """Return what that will cost."""
        return _find(self.home, self.cost)(*self.costs(subject))

    @property
    def compared(self) -> bool:
        """Whether results of several networks can stand side by side."""
        return hasattr(_find(self.home, self.result), "beside")


def _find(home: str, name: str) -> Any:
    module, _, attribute = name.rpartition(":")
    place = f"isozoo.diagnostics.{module or home}"
    return getattr(importlib.import_module(place), attribute)


def _batch(subject: Subject) -> tuple[Any, ...]:
    return subject.model, subject.images


def _labelled(subject: Subject) -> tuple[Any, ...]:
    return subject.model, subject.images, subject.labels


def _side(subject: Subject) -> tuple[int, int]:
    from isozoo.diagnostics.floors import channel_axis
    from isozoo.diagnostics.taps import graph

    first = channel_axis(graph(subject.model)) == 1
    height, width = subject.images.shape[2:] if first else subject.images.shape[1:3]
    return height, width


#: The measures by their names, the cheapest first.
MEASURES: dict[str, Measure] = {
    "spectra": Measure(
        "singular values of every convolution, and its distance to an isometry",
        "singular_spectra", "Spectra", "spectra", "spectra_cost",
        lambda s: ((s.model, _side(s), s.label), {}),
        lambda s: (s.model, _side(s)),
        usual=True,
    ),
    "isometry": Measure(
        "norms and angles of signals and gradients, unit by unit",
        "isometry.flow", "Isometry", "measure_isometry", "isometry_cost",
        lambda s: (_labelled(s), {"training": s.fresh, "label": s.label}),
        _batch,
        usual=True,
    ),
    "propagation": Measure(
        "moments, effective ranks and sensitivity of the signal over depth, and a verdict",
        "propagation.result", "Propagation",
        "propagation.models:model_propagation", "propagation.models:propagation_cost",
        lambda s: (_batch(s), {"training": s.fresh}),
        _batch,
        usual=True,
    ),
    "filters": Measure(
        "dead and always active filters, and the entropy of the others",
        "filter_report", "FilterReport", "filters", "filters_cost",
        lambda s: (_batch(s), {"label": s.label}),
        lambda s: (s.model, len(s.images)),
        usual=True,
        running=True,
    ),
    "activations": Measure(
        "quantiles of what each layer makes",
        "distributions", "Activations", "activations", "activations_cost",
        lambda s: (_batch(s), {"training": s.fresh, "label": s.label}),
        _batch,
    ),
    "jacobian": Measure(
        "largest singular values of the whole network's Jacobian at a picture",
        "isometry.jacobian", "Jacobian", "measure_jacobian", "jacobian_cost",
        lambda s: (
            (s.model, s.images[:POINTS]),
            {"label": s.label, "batch": s.images if s.fresh else None},
        ),
        lambda s: (s.model, s.images[:POINTS]),
    ),
    "smoothness": Measure(
        "loss and gradient along the gradient",
        "walks", "Smoothness", "smooth:smoothness", "smooth:smoothness_cost",
        lambda s: (_labelled(s), {"learning_rate": s.learning_rate, "label": s.label}),
        _batch,
    ),
    "covariate_shift": Measure(
        "how a layer's gradient changes when the layers before it take their step",
        "shifts", "CovariateShift", "covariate_shift", "covariate_shift_cost",
        lambda s: ((s.compiled, s.images, s.labels), {"label": s.label}),
        _batch,
    ),
    "landscape": Measure(
        "the loss around the weights, in two random directions",
        "landscapes", "Landscape", "landscape", "landscape_cost",
        lambda s: (_labelled(s), {"training": s.fresh, "label": s.label}),
        _batch,
    ),
}  # fmt: skip


#: The classes of results that no row makes, by the names of their measures.
_OTHERS = {
    "explanation": "explanation:Explanation",
    "propagation_compared": "propagation.result:Comparison",
    "pruning": "pruning.study:PruningReport",
}


def diagnose(
    model: keras.Model,
    images: Any,
    labels: Any,
    measures: Iterable[str] | None = None,
    *,
    fresh: bool = False,
    label: str | None = None,
) -> dict[str, Result]:
    """Measure a model by the names of measures.

    Args:
        model: A functional or sequential Keras model of images that answers with one number for
            each class, trained or not.
        images: A preprocessed batch `(batch, height, width, channels)` of at least two images, or
            with channels first if the model has them so.
        labels: Their classes, `(batch,)`.
        measures: Keys of `MEASURES`, or `"all"`; the usual ones if None.
        fresh: Whether it is untrained, so that its running statistics mean nothing and it is
            measured in training mode.
        label: What the model is called; its name if None.

    Returns:
        The results by the names of their measures.

    Raises:
        UnknownNameError: There is no such measure; nothing was measured.
        DiagnosticsError: The model has no graph, or cannot be measured so.
        DataError: There are too few images.

    Example:
        >>> import numpy as np
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
        >>> found = diagnose(model, images, np.arange(4) % 2, ["spectra", "isometry"])
        >>> found["spectra"].networks[0].distance() < 1e-6
        True
    """
    import numpy as np

    from isozoo.diagnostics.subject import Subject

    named = label or model.name
    subject = Subject(named, model, np.asarray(images), np.asarray(labels), fresh)
    return {result.measure: result for result in measured(subject, measures)}


def measured(
    subject: Subject,
    measures: Iterable[str] | None = None,
    say: Callable[[Cost], None] | None = None,
) -> Iterator[Result]:
    """Measure a subject, one measure after the other.

    Args:
        subject: The network and its images.
        measures: As for `diagnose`.
        say: What is told the cost of each measure before it runs.
    """
    for row in [MEASURES[name] for name in chosen(measures)]:
        if say is not None:
            say(row.estimate(subject))
        yield row.run(subject)


def chosen(names: Iterable[str] | None) -> list[str]:
    """Return the measures that were asked for, the usual ones if None.

    Args:
        names: Their names, `"all"` for every one; a hyphen stands for an underscore.

    Raises:
        UnknownNameError: There is no such measure.

    Example:
        >>> chosen(["covariate-shift"]), chosen(None)[0]
        (['covariate_shift'], 'spectra')
    """
    if names is None:
        return [name for name, measure in MEASURES.items() if measure.usual]
    found = [name.replace("-", "_") for name in names]
    if "all" in found:
        return list(MEASURES)
    for name in found:
        if name not in MEASURES:
            raise unknown("measure", name, [*MEASURES, "all"])
    return list(dict.fromkeys(found))


def read_result(path: Any) -> Result:
    """Return a saved result of whichever measure.

    Args:
        path: A JSON file that `Result.save` wrote.

    Raises:
        DiagnosticsError: It holds no result of a measure.
        UnknownNameError: It holds one of a measure that this isozoo does not know.
        OSError: It cannot be read.
    """
    from isozoo.diagnostics.result import read_record

    record = read_record(path)
    name = str(record["measure"])
    made = {key: f"{row.home}:{row.result}" for key, row in MEASURES.items()} | _OTHERS
    if name not in made:
        raise unknown("measure", name, made)
    return _find("", made[name]).from_json(record)


def compare(*results: Any) -> Any:
    """Return results of one measure side by side, such as those before and after training.

    Args:
        results: Results of one measure that can stand beside others, see `Measure.compared`.

    Raises:
        DiagnosticsError: They are of different measures, or cannot stand beside others.
    """
    first, *others = results
    names = {result.measure for result in results}
    if len(names) > 1 or not hasattr(first, "beside"):
        raise DiagnosticsError(
            f"asked to compare results of {', '.join(sorted(names))}; give several of one measure, "
            f"which can be {' or '.join(comparable())}"
        )
    return first.beside(*others)


def comparable() -> list[str]:
    """Return the measures whose results can stand side by side."""
    return [name for name, row in MEASURES.items() if row.compared]
