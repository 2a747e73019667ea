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
from isozoo.training.checkpoint import Checkpoint, Checkpoints, Position
from isozoo.training.divergence import DivergedError, Divergence, LossWatch, Rollbacks
from isozoo.training.options import Options
from isozoo.training.recipe import Recipe
from isozoo.training.recovery import Saver, Stop, StoppableSamples, Tracker
from isozoo.training.segments import segments
from isozoo.training.setup import SCHEDULES, compile_classifier
from isozoo.training.tracing import find_fault

_LOG = logging.getLogger(__name__)

#: File of a run that tells of its rollbacks.
ROLLBACKS = "rollbacks.json"


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
        stop: Ends the run on request.
    """

    plan: Recipe
    training: Samples
    validation: Samples
    directory: Path
    checkpoints: Checkpoints
    options: Options
    stop: Stop

    @property
    def _rollbacks(self) -> Path:
        return self.directory / ROLLBACKS

    @functools.cached_property
    def steps(self) -> int:
        """Steps per epoch."""
        from isozoo.data.pipeline import steps_per_epoch

        return steps_per_epoch(self.training, self.plan.batch_size)

    @functools.cached_property
    def _images(self) -> Samples:
        cache = self.plan.cache
        return self.training if cache is None else cache_images(self._read(self.training), cache)

    def _read(self, samples: Samples) -> Samples:
        return StoppableSamples(samples, functools.partial(self.stop.poll, "the first reading"))

    @functools.cached_property
    def check(self) -> Any:
        """The validation images, in batches."""
        from isozoo.data.pipeline import evaluation_dataset

        # Whoever has the memory for the training images has it for those of the validations.
        cache = self.plan.cache is not None
        samples = self._read(self.validation) if cache else self.validation
        return evaluation_dataset(
            samples, self.plan.preparation(), self.plan.batch_size, cache=cache
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
        rollbacks = Rollbacks.read(self._rollbacks, self.checkpoints.recipe)
        with reading_errors():
            while True:
                try:
                    return self._run_from(newest, rollbacks)
                except Divergence as divergence:
                    newest = self.checkpoints.newest()
                    newest, rollbacks = self._roll_back(divergence, newest, rollbacks)
                self.stop.poll("a rollback")

    def _run_from(self, newest: Checkpoint | None, rollbacks: Rollbacks) -> Classifier:
        """Train from a checkpoint to the end."""
        model, metrics = self.begin(newest, rollbacks.factor)
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
            self.checkpoints.writing,
        )

        def noted() -> dict[str, Any]:
            return {"log": log.state(), "watch": watch.state()}

        def sound() -> bool:
            past = rollbacks.bad is None or tracker.position > rollbacks.bad
            return past and not watch.alarmed

        done = start.steps_done(self.steps)
        bar = ProgressBar(plan.epochs, done, self.steps, plan.batch_size)
        with bar:
            request, minutes = self.stop.request, self.options.checkpoint_minutes
            saver = Saver(self.checkpoints, tracker, request, minutes, noted, sound)
            # What is told of an epoch is told before it is saved, and so never left out.
            callbacks = [tracker, watch, log, *self._boards(), saver, bar]
            self.advance(model, start, Position(plan.epochs), callbacks, log)
        return model

    def _boards(self) -> list[keras.callbacks.Callback]:
        if not self.options.tensorboard:
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
        for part in segments(self.plan.phase_ranges(), self.steps, start, stop):
            if log is not None:
                log.size = part.size
            model.fit(
                self._batches(part.epochs, part.size, part.first),
                initial_epoch=part.epochs.start,
                epochs=part.epochs.stop,
                steps_per_epoch=part.last - part.first,
                validation_data=None if log is None else self.check,
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
            found = model.evaluate(self.check, callbacks=all_of_them, return_dict=True, verbose=0)
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
            newest = self.checkpoints.pass_over(newest)
        back = newest.position if newest else Position(0)
        assert recovery.learning_rate_factor is not None
        factor = rollbacks.factor * recovery.learning_rate_factor
        told = f"{told}; back to {back} with {factor:g} times the learning rate"
        _LOG.warning("rollback %d of %d: %s", number, recovery.rollbacks, told)
        made = Rollbacks((*rollbacks.told, told), factor, back, divergence.last)
        with self.checkpoints.writing(self._rollbacks):
            made.write(self._rollbacks, self.checkpoints.recipe)
        return newest, made

    def batch(self, steps_done: int) -> tuple[Any, Any]:
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
