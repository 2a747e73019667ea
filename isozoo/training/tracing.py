"""Where a loss that diverged began: the steps before it are done again and looked at."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from isozoo.models.classifier import Classifier
from isozoo.training.callbacks import RepetitionBar
from isozoo.training.checkpoint import Checkpoint, Position, assign, random_states, values_of
from isozoo.training.divergence import Divergence
from isozoo.training.faults import (
    Fault,
    bad_gradient,
    bad_output,
    bad_penalty,
    bad_weight,
    grown_most,
    is_finite,
)

if TYPE_CHECKING:
    from isozoo.training.fitting import Fitting

NOT_AGAIN = Fault(None, "it did not happen again when the steps were repeated")


def find_fault(
    fitting: Fitting, divergence: Divergence, newest: Checkpoint | None, factor: float
) -> Fault:
    """Repeat the steps from the last good state to the bad one, and see what goes first.

    Args:
        fitting: The run's training.
        divergence: What happened.
        newest: The last good state; None for the beginning.
        factor: Of the recipe's learning rate.
    """
    good = newest.position.steps_done(fitting.steps) if newest else 0
    bad = divergence.last.steps_done(fitting.steps)
    poll = functools.partial(fitting.stop.poll, "the search for what went wrong")
    steps = bad - good + (divergence.kind != "state")
    with RepetitionBar(steps, poll, fitting.console) as bar:
        model, _ = fitting.begin(newest, factor)
        before = max(good, bad - 1)
        _repeat(fitting, model, good, before, bar)
        variables = [*model.weights, *random_states(model)]
        values = values_of(variables)
        _repeat(fitting, model, before, bad, bar)
        broken = bad_weight(model)
        if broken:
            assign(variables, values)
            again = functools.partial(_repeat, fitting, model, before, bad, bar)
            with fitting.strategy.scope():
                return bad_gradient(model, again) or broken
        if divergence.kind == "state":
            return bad_penalty([model.backbone, model.head]) or _bad_validation(fitting, model)
        return _bad_step(fitting, divergence, model, newest, bar)


def _bad_step(
    fitting: Fitting,
    divergence: Divergence,
    model: Classifier,
    newest: Checkpoint | None,
    bar: RepetitionBar,
) -> Fault:
    """Look at the step whose loss diverged; the model is as it was before it."""
    bad = divergence.last.steps_done(fitting.steps)
    parts = (model.backbone, model.head)
    for images in fitting.feed.parts(bad):
        found = bad_output(parts, images)
        if found:
            return found
    found = bad_penalty(parts)
    if found:
        return found
    variables = [*model.weights, *random_states(model)]
    values = values_of(variables)
    _repeat(fitting, model, bad, bad + 1, bar)
    if divergence.kind == "loss" and math.isfinite(bar.loss):
        return NOT_AGAIN
    assign(variables, values)
    start, _ = fitting.begin(newest, 1.0)
    images = next(fitting.feed.parts(bad))
    return grown_most(parts, (start.backbone, start.head), images)


def _bad_validation(fitting: Fitting, model: Classifier) -> Fault:
    """Return the first layer whose output for a validation image is not finite."""
    parts = (model.backbone, model.head)
    for images, _ in fitting.feed.whole_validation():
        fitting.stop.poll("the search for what went wrong")
        if not is_finite(model(images, training=False)):
            return bad_output(parts, images, training=False) or NOT_AGAIN
    return NOT_AGAIN


def _repeat(fitting: Fitting, model: Classifier, start: int, end: int, bar: RepetitionBar) -> None:
    """Do the steps from one number of steps to another again."""
    first, last = Position.of(start, fitting.steps), Position.of(end, fitting.steps)
    fitting.advance(model, first, last, [bar])
