"""Where a loss that diverged began: the steps before it are done again and looked at."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, TypeVar

from isozoo.models.classifier import Classifier
from isozoo.training.callbacks import RepetitionBar
from isozoo.training.checkpoint import Checkpoint, Position, assign, random_states, values_of
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.divergence import Divergence
from isozoo.training.faults import (
    Fault,
    bad_gradient,
    bad_output,
    bad_penalty,
    bad_weight,
    grown_most,
    is_finite,
    restored,
)

if TYPE_CHECKING:
    from isozoo.training.fitting import Fitting

T = TypeVar("T", bound=Fault | None)

NOT_AGAIN = Fault(None, "it did not happen again when the steps were repeated")


def find_fault(
    fitting: Fitting, divergence: Divergence, newest: Checkpoint | None, factor: float
) -> Fault:
    """Repeat the steps from the last good state to the bad one, and see what goes first.

    Several workers look together, and what the chief finds is what all of them return.

    Args:
        fitting: The run's training.
        divergence: What happened.
        newest: The last good state; None for the beginning.
        factor: Of the recipe's learning rate.
    """
    good = newest.position.steps_done(fitting.steps) if newest else 0
    bad = divergence.last.steps_done(fitting.steps)
    steps = bad - good + (divergence.kind != "state")
    poll = functools.partial(_poll, fitting)
    with RepetitionBar(steps, poll, fitting.console) as bar:
        model, _ = fitting.begin(newest, factor)
        before = max(good, bad - 1)
        _repeat(fitting, model, good, before, bar)
        copies = fitting.strategy.copies(_state(model))
        values = values_of(copies)
        _repeat(fitting, model, before, bad, bar)
        broken = _agreed(fitting, bad_weight(model))
        if broken:
            assign(copies, values)
            again = functools.partial(_repeat, fitting, model, before, bad, bar)
            with fitting.strategy.scope():
                return _agreed(fitting, bad_gradient(model, again)) or broken
        if divergence.kind == "state":
            found = _agreed(fitting, bad_penalty([model.backbone, model.head]))
            return found or _agreed(fitting, _bad_validation(fitting, model)) or NOT_AGAIN
        return _bad_step(fitting, divergence, model, newest, bar)


def _bad_step(
    fitting: Fitting,
    divergence: Divergence,
    model: Classifier,
    newest: Checkpoint | None,
    bar: RepetitionBar,
) -> Fault:
    """Look at the step whose loss diverged; the model is as it was before it."""
    bad, strategy = divergence.last.steps_done(fitting.steps), fitting.strategy
    parts, images = (model.backbone, model.head), fitting.feed.images(bad)
    with restored(strategy, _state(model)):
        found = _agreed(fitting, bad_output(parts, images, strategy) or bad_penalty(parts))
    if found:
        return found
    with restored(strategy, _state(model)):
        _repeat(fitting, model, bad, bad + 1, bar)
    if divergence.kind == "loss" and math.isfinite(bar.loss):
        return NOT_AGAIN
    start, _ = fitting.begin(newest, 1.0)
    return _agreed(fitting, grown_most(parts, (start.backbone, start.head), images, strategy))


def _bad_validation(fitting: Fitting, model: Classifier) -> Fault | None:
    """Return the first layer whose output for a validation image is not finite."""
    parts = (model.backbone, model.head)
    for images, _ in fitting.feed.whole_validation():
        _poll(fitting)
        # Each worker has all of the images.
        (bad,) = fitting.strategy.agree(not is_finite(model(images, training=False)))
        if bad:
            return bad_output(parts, images, Strategy(), training=False)
    return None


def _state(model: Classifier) -> list[Any]:
    """Return the variables that a step starts from, but for the optimiser's."""
    return [*model.weights, *random_states(model)]


def _repeat(fitting: Fitting, model: Classifier, start: int, end: int, bar: RepetitionBar) -> None:
    """Do the steps from one number of steps to another again."""
    first, last = Position.of(start, fitting.steps), Position.of(end, fitting.steps)
    fitting.advance(model, first, last, [bar])


def _poll(fitting: Fitting) -> None:
    fitting.stop.poll_together("the search for what went wrong", fitting.strategy)


def _agreed(fitting: Fitting, found: T) -> T:
    """Return what the chief has found; all workers have looked."""
    return fitting.strategy.decide(lambda: found)
