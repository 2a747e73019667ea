"""The steps of a run: from the last checkpoint to the end, and again where the loss diverged."""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from isozoo.data.labels import labels_of
from isozoo.data.streams import streams
from isozoo.models.classifier import Classifier
from isozoo.models.manifest import LOG
from isozoo.training.callbacks import EpochLog, ProgressBar
from isozoo.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    Position,
    assign,
    dropout_states,
    values_of,
)
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.divergence import DivergedError, Divergence, LossWatch, Rollbacks
from isozoo.training.feed import Feed
from isozoo.training.options import Options
from isozoo.training.recipe import Recipe
from isozoo.training.recovery import Saver, Stop, Tracker
from isozoo.training.segments import segments
from isozoo.training.setup import SCHEDULES, compile_classifier
from isozoo.training.tracing import find_fault

_LOG = logging.getLogger(__name__)

#: File of a run that tells of its rollbacks.
ROLLBACKS = "rollbacks.json"


@dataclasses.dataclass(frozen=True)
class Fitting:
    """One run's training, which can go from any position to any later one.

    Several workers do all of this together, each step and each decision at once.

    Args:
        plan: The recipe.
        feed: The batches.
        directory: Folder of the run.
        checkpoints: Its checkpoints.
        options: What changes nothing about the weights.
    """

    plan: Recipe
    feed: Feed
    directory: Path
    checkpoints: Checkpoints
    options: Options

    @property
    def strategy(self) -> Strategy:
        """Who trains together."""
        return self.feed.strategy

    @property
    def stop(self) -> Stop:
        """Ends the run on request."""
        return self.feed.stop

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self.feed.steps

    @property
    def console(self) -> Console | None:
        """Where progress is shown, which is for the chief alone; None for the usual place."""
        return None if self.strategy.chief else Console(file=io.StringIO())

    @property
    def _rollbacks(self) -> Path:
        return self.directory / ROLLBACKS

    @functools.cached_property
    def _validated(self) -> list[int]:
        """Numbers from 1 of the epochs that are validated."""
        last, every = self.plan.epochs, self.plan.validate_every
        return [e for e in range(1, last) if e % every == 0] + [last]

    def run(self) -> Classifier:
        """Train to the end, from the newest checkpoint on if there is one.

        Raises:
            DivergedError: The loss was not finite or exploded, and no rollback is left.
            TrainingInterrupted: A signal asked to stop.
        """
        newest, rollbacks = self.strategy.decide(self._left)
        with streams().errors():
            while True:
                try:
                    return self._alone(self._run_from(newest, rollbacks))
                except Divergence as divergence:
                    newest = self.strategy.decide(self.checkpoints.newest)
                    newest, rollbacks = self._roll_back(divergence, newest, rollbacks)
                self.stop.poll_together("a rollback", self.strategy)

    def _left(self) -> tuple[Checkpoint | None, Rollbacks]:
        """Return where an earlier process got to."""
        self.checkpoints.remove_remains()
        rollbacks = Rollbacks.read(self._rollbacks, self.checkpoints.recipe)
        return self.checkpoints.newest(), rollbacks

    def _alone(self, model: Classifier) -> Classifier:
        """Return a trained model as one that needs neither other replicas nor other workers."""
        if self.strategy.name == "one":
            return model
        alone = self._network()
        assign(alone.weights, values_of(model.weights))
        return alone

    def _run_from(self, newest: Checkpoint | None, rollbacks: Rollbacks) -> Classifier:
        """Train from a checkpoint to the end."""
        notes = newest.notes if newest else {}
        self.feed.training.learn(notes.get("damaged", ()))
        model, metrics = self.begin(newest, rollbacks.factor)
        start = newest.position if newest else Position(0)
        plan, tracker = self.plan, Tracker(start, metrics)
        watch = LossWatch(tracker, plan.recovery, notes.get("watch", {}))
        log = EpochLog(
            self.directory / LOG,
            tracker,
            self.steps * plan.batch_size,
            rollbacks.told,
            notes.get("log"),
            self.options.csv,
            self.checkpoints.writing,
            self.strategy.decide,
        )

        def noted() -> dict[str, Any]:
            damaged = self.feed.damaged()
            return {"log": log.state(), "watch": watch.state(), "damaged": damaged}

        def sound() -> bool:
            past = rollbacks.bad is None or tracker.position > rollbacks.bad
            return past and not watch.alarmed

        done = start.steps_done(self.steps)
        bar = ProgressBar(plan.epochs, done, self.steps, plan.batch_size, self.console)
        with bar:
            request, minutes = self.stop.request, self.options.checkpoint_minutes
            saver = Saver(self.checkpoints, tracker, request, minutes, noted, sound, self.strategy)
            # What is told of an epoch is told before it is saved, and so never left out.
            callbacks = [tracker, watch, log, *self._boards(), saver, bar]
            self.advance(model, start, Position(plan.epochs), callbacks, log)
        return model

    def _boards(self) -> list[keras.callbacks.Callback]:
        if not (self.options.tensorboard and self.strategy.chief):
            return []
        return [keras.callbacks.TensorBoard(str(self.directory / "tensorboard"))]

    def begin(
        self, checkpoint: Checkpoint | None, factor: float
    ) -> tuple[Classifier, Sequence[np.ndarray]]:
        """Return the model in the state of a checkpoint, and the metrics' values there.

        Args:
            checkpoint: The checkpoint; None for the beginning.
            factor: Of the recipe's learning rate.
        """
        with self.strategy.scope():
            model = self._compiled(factor)
        metrics = checkpoint.load(model) if checkpoint else ()
        rate = SCHEDULES[self.plan.schedule.name](self._plan(factor), self.steps)
        if isinstance(rate, float):
            # A variable then, to which the checkpoint gave the rate of before the rollback.
            model.optimizer.learning_rate = rate
        self.strategy.spread(dropout_states(model))
        return model, metrics

    def _plan(self, factor: float) -> Recipe:
        """Return the recipe with a multiple of its learning rate."""
        rate = self.plan.optimizer.learning_rate * factor
        optimizer = dataclasses.replace(self.plan.optimizer, learning_rate=rate)
        return dataclasses.replace(self.plan, optimizer=optimizer)

    def _compiled(self, factor: float) -> Classifier:
        """Return the network at its start, compiled and with all variables that it will have."""
        keras.utils.set_random_seed(self.plan.seed)
        model = self._network()
        compile_classifier(model, self._plan(factor), self.steps)
        self.strategy.prepare(model)
        # Makes the metrics' variables, which Keras would not before the first step.
        logits = np.zeros((1, len(self._classes)), "float32")
        model.compute_metrics(None, np.zeros(1, "int32"), logits)
        model.reset_metrics()
        return model

    def _network(self) -> Classifier:
        """Return the recipe's network at its start."""
        return Classifier(
            self.plan.architecture(len(self._classes)),
            labels=labels_of(self._classes),
            preprocessing=self.plan.preparation(),
            # As the data pipeline makes them; a weights folder has none.
            data_format="channels_last",
            dtype=self.plan.model.dtype,
        )

    @property
    def _classes(self) -> Sequence[str]:
        return self.feed.training.classes

    def advance(
        self,
        model: Classifier,
        start: Position,
        stop: Position,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        log: EpochLog | None = None,
    ) -> None:
        """Train from one position to another; validate only with a log to write it to."""
        if start.step == self.steps and log is not None:
            self._finish_epoch(model, start.epoch, callbacks, log)
        batches, count = (None, None) if log is None else self.feed.validation_batches
        for part in segments(self.plan.phase_ranges(), self.steps, start, stop):
            if log is not None:
                log.size = part.size
            with self.strategy.fitting():
                model.fit(
                    self.feed.training_batches(part.epochs, part.size, part.first),
                    initial_epoch=part.epochs.start,
                    epochs=part.epochs.stop,
                    steps_per_epoch=part.last - part.first,
                    validation_data=batches,
                    validation_steps=count,
                    validation_freq=self._validated,
                    callbacks=list(callbacks),
                    shuffle=False,
                    verbose=0,
                )

    def _finish_epoch(
        self,
        model: Classifier,
        epoch: int,
        callbacks: Sequence[keras.callbacks.Callback],
        log: EpochLog,
    ) -> None:
        """Do what `fit` does after the last step of an epoch, for one that was left there."""
        log.size = self.feed.size(epoch)
        all_of_them = keras.callbacks.CallbackList(list(callbacks), model=model)
        all_of_them.on_train_begin()
        all_of_them.on_epoch_begin(epoch)
        logs = dict(model.get_metrics_result())
        if epoch + 1 in self._validated:
            batches, count = self.feed.validation_batches
            with self.strategy.fitting():
                found = model.evaluate(
                    batches, steps=count, callbacks=all_of_them, return_dict=True, verbose=0
                )
            logs |= {f"val_{name}": value for name, value in found.items()}
        all_of_them.on_epoch_end(epoch, logs)
        all_of_them.on_train_end()

    def _roll_back(
        self, divergence: Divergence, newest: Checkpoint | None, rollbacks: Rollbacks
    ) -> tuple[Checkpoint | None, Rollbacks]:
        """Return where to go back to, and the rollbacks with one more; raise if none is left."""
        since = newest.position if newest else Position(0)
        _LOG.warning("%s; repeating the steps from %s on to see where", divergence.what, since)
        fault = find_fault(self, divergence, newest, rollbacks.factor)
        epoch, step = divergence.step(self.steps)
        told = f"{divergence.what} in epoch {epoch}, step {step}; {fault.text}"
        recovery, number = self.plan.recovery, len(rollbacks.told) + 1
        if recovery.rollbacks is None or number > recovery.rollbacks:
            raise DivergedError(
                f"{told}; {_advice(newest, number - 1)}",
                epoch=epoch,
                step=step,
                layer=fault.layer,
                checkpoint=newest.folder if newest else None,
            )
        if newest and newest.position == rollbacks.back:
            # Whatever began this was there already when it was saved.
            newest = self.strategy.decide(functools.partial(self.checkpoints.pass_over, newest))
        back = newest.position if newest else Position(0)
        assert recovery.learning_rate_factor is not None
        factor = rollbacks.factor * recovery.learning_rate_factor
        told = f"{told}; back to {back} with {factor:g} times the learning rate"
        _LOG.warning("rollback %d of %d: %s", number, recovery.rollbacks, told)
        made = Rollbacks((*rollbacks.told, told), factor, back, divergence.last)
        self.strategy.decide(functools.partial(self._note, made))
        return newest, made

    def _note(self, rollbacks: Rollbacks) -> None:
        with self.checkpoints.writing(self._rollbacks):
            rollbacks.write(self._rollbacks, self.checkpoints.recipe)


def _advice(newest: Checkpoint | None, rollbacks: int) -> str:
    """Return what to do about a run that diverged."""
    tamer = "lower the learning rate, lengthen the warm-up or set optimizer.global_clipnorm"
    tried = f"{rollbacks} rollbacks did not help: " if rollbacks else ""
    if newest is None:
        return f"{tried}{tamer}, and start again"
    go_on = "" if rollbacks else 'go on from it with recovery.on_nan = "rollback" and --resume, or '
    return (
        f"{tried}the last good state is {newest.folder}: {go_on}{tamer}, and start again under "
        "another tag"
    )
