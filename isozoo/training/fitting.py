"""The steps of a run: from the last checkpoint to the end, and again where the loss diverged."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from isozoo.data.labels import labels_of
from isozoo.data.samples import Samples, cache_images
from isozoo.models.classifier import Classifier
from isozoo.models.manifest import LOG
from isozoo.training.callbacks import EpochLog, ProgressBar
from isozoo.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    Position,
    assign,
    random_states,
    values_of,
)
from isozoo.training.divergence import DivergedError, Divergence, LossWatch, Rollbacks
from isozoo.training.faults import (
    Fault,
    bad_gradient,
    bad_output,
    bad_penalty,
    bad_weight,
    grown_most,
)
from isozoo.training.interrupt import StopRequest
from isozoo.training.options import Options
from isozoo.training.recipe import Recipe
from isozoo.training.recovery import Saver, Tracker
from isozoo.training.segments import segments
from isozoo.training.setup import SCHEDULES, compile_classifier

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Fitting:
    """One run's training, which can go from any position to any later one.

    Args:
        plan: The recipe.
        training: Training samples.
        validation: Validation samples.
        directory: Folder of the run.
        checkpoints: Its checkpoints.
        options: What changes nothing about the weights.
    """

    plan: Recipe
    training: Samples
    validation: Samples
    directory: Path
    checkpoints: Checkpoints
    options: Options

    @functools.cached_property
    def steps(self) -> int:
        """Steps per epoch."""
        from isozoo.data.pipeline import steps_per_epoch

        return steps_per_epoch(self.training, self.plan.batch_size)

    @functools.cached_property
    def _images(self) -> Samples:
        cache = self.plan.cache
        return self.training if cache is None else cache_images(self.training, cache)

    @functools.cached_property
    def _check(self) -> Any:
        from isozoo.data.pipeline import evaluation_dataset

        # Whoever has the memory for the training images has it for those of the validations.
        return evaluation_dataset(
            self.validation,
            self.plan.preparation(),
            self.plan.batch_size,
            cache=self.plan.cache is not None,
        )

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
        from isozoo.data.pipeline import reading_errors

        self.checkpoints.remove_remains()
        newest = self.checkpoints.newest()
        rollbacks = Rollbacks(**newest.notes["rollbacks"]) if newest else Rollbacks()
        with reading_errors():
            while True:
                try:
                    return self._run_from(newest, rollbacks)
                except Divergence as divergence:
                    newest = self.checkpoints.newest()
                    rollbacks = self._roll_back(divergence, newest, rollbacks)

    def _run_from(self, newest: Checkpoint | None, rollbacks: Rollbacks) -> Classifier:
        """Train from a checkpoint to the end."""
        model, metrics = self._begin(newest, rollbacks.factor)
        start = newest.position if newest else Position(0)
        notes = newest.notes if newest else {}
        plan, tracker = self.plan, Tracker(start, metrics)
        watch = LossWatch(tracker, plan.recovery, notes.get("watch", {}))
        log = EpochLog(
            self.directory / LOG,
            tracker,
            self.steps * plan.batch_size,
            rollbacks.told,
            notes.get("log"),
            self.options.csv,
        )

        def noted() -> dict[str, Any]:
            told = dataclasses.asdict(rollbacks)
            return {"log": log.state(), "watch": watch.state(), "rollbacks": told}

        done = start.steps_done(self.steps)
        bar = ProgressBar(plan.epochs, done, self.steps, plan.batch_size)
        with bar, StopRequest() as request:
            saver = Saver(
                self.checkpoints, tracker, request, self.options.checkpoint_minutes, noted
            )
            # What is told of an epoch is told before it is saved, and so never left out.
            callbacks = [tracker, watch, log, *self._boards(), saver, bar]
            self._advance(model, start, Position(plan.epochs), callbacks, log)
        return model

    def _boards(self) -> list[keras.callbacks.Callback]:
        if not self.options.tensorboard:
            return []
        return [keras.callbacks.TensorBoard(str(self.directory / "tensorboard"))]

    def _begin(
        self, checkpoint: Checkpoint | None, factor: float
    ) -> tuple[Classifier, Sequence[np.ndarray]]:
        """Return the model in the state of a checkpoint, and the metrics' values there.

        Args:
            checkpoint: The checkpoint; None for the beginning.
            factor: Of the recipe's learning rate.
        """
        rate = self.plan.optimizer.learning_rate * factor
        optimizer = dataclasses.replace(self.plan.optimizer, learning_rate=rate)
        plan = dataclasses.replace(self.plan, optimizer=optimizer)
        keras.utils.set_random_seed(plan.seed)
        model = Classifier(
            plan.architecture(len(self.training.classes)),
            labels=labels_of(self.training.classes),
            preprocessing=plan.preparation(),
            # As the data pipeline makes them; a weights folder has none.
            data_format="channels_last",
            dtype=plan.model.dtype,
        )
        compile_classifier(model, plan, self.steps)
        # Makes the metrics' variables, which Keras would not before the first step.
        logits = np.zeros((1, len(self.training.classes)), "float32")
        model.compute_metrics(None, np.zeros(1, "int32"), logits)
        model.reset_metrics()
        metrics = checkpoint.load(model) if checkpoint else ()
        rate = SCHEDULES[plan.schedule.name](plan, self.steps)
        if isinstance(rate, float):
            # A variable then, to which the checkpoint gave the rate of before the rollback.
            model.optimizer.learning_rate = rate
        return model, metrics

    def _advance(
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
        for part in segments(self.plan.phase_ranges(), self.steps, start, stop):
            if log is not None:
                log.size = part.size
            model.fit(
                self._batches(part.epochs, part.size, part.first),
                initial_epoch=part.epochs.start,
                epochs=part.epochs.stop,
                steps_per_epoch=part.last - part.first,
                validation_data=None if log is None else self._check,
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
        log.size = self._size(epoch)
        all_of_them = keras.callbacks.CallbackList(list(callbacks), model=model)
        all_of_them.on_train_begin()
        all_of_them.on_epoch_begin(epoch)
        logs = dict(model.get_metrics_result())
        if epoch + 1 in self._validated:
            found = model.evaluate(self._check, callbacks=all_of_them, return_dict=True, verbose=0)
            logs |= {f"val_{name}": value for name, value in found.items()}
        all_of_them.on_epoch_end(epoch, logs)
        all_of_them.on_train_end()

    def _batches(self, epochs: range, size: int, first: int) -> Any:
        from isozoo.data.pipeline import training_dataset

        return training_dataset(
            self._images,
            preprocessing=self.plan.preparation(),
            augment=self.plan.augmentation(size),
            batch_size=self.plan.batch_size,
            seed=self.plan.seed,
            epochs=epochs,
            start_step=first,
        )

    def _size(self, epoch: int) -> int:
        return next(size for epochs, size in self.plan.phase_ranges() if epoch in epochs)

    def _roll_back(
        self, divergence: Divergence, newest: Checkpoint | None, rollbacks: Rollbacks
    ) -> Rollbacks:
        """Return the rollbacks with one more; raise if there is none to be made."""
        back = newest.position if newest else Position(0)
        _LOG.warning("%s; repeating the steps from %s on to see where", divergence.what, back)
        fault = self._find_fault(divergence, newest, rollbacks)
        epoch, step = divergence.first.epoch + 1, divergence.first.step + 1
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
        assert recovery.learning_rate_factor is not None
        factor = rollbacks.factor * recovery.learning_rate_factor
        told = f"{told}; back to {back} with {factor:g} times the learning rate"
        _LOG.warning("rollback %d of %d: %s", number, recovery.rollbacks, told)
        return Rollbacks((*rollbacks.told, told), factor)

    def _find_fault(
        self, divergence: Divergence, newest: Checkpoint | None, rollbacks: Rollbacks
    ) -> Fault:
        """Repeat the steps from the last good state to the bad one, and see what goes first."""
        model, _ = self._begin(newest, rollbacks.factor)
        parts = (model.backbone, model.head)
        good = newest.position.steps_done(self.steps) if newest else 0
        bad = divergence.last.steps_done(self.steps)
        before = max(good, bad - 1)
        self._advance(model, Position.of(good, self.steps), Position.of(before, self.steps))
        variables = [*model.weights, *random_states(model)]
        values = values_of(variables)
        self._advance(model, Position.of(before, self.steps), Position.of(bad, self.steps))
        broken = bad_weight(model)
        if broken:
            assign(variables, values)
            return bad_gradient(model, *self._batch(before)) or broken
        if bad == self.plan.epochs * self.steps:
            return Fault(None, "it did not happen again when the steps were repeated")
        images, _ = self._batch(bad)
        found = bad_output(parts, images) or bad_penalty(parts)
        if found:
            return found
        start, _ = self._begin(newest, rollbacks.factor)
        return grown_most(parts, (start.backbone, start.head), images)

    def _batch(self, steps_done: int) -> tuple[Any, Any]:
        """Return the images and labels of the step after a number of steps."""
        epoch, step = Position.of(steps_done, self.steps)
        epochs = range(epoch, epoch + 1)
        return next(iter(self._batches(epochs, self._size(epoch), step)))


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
