"""The batches of a run: of any step, for any strategy."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from isozoo.data.batches import WHOLE, Share, steps_per_epoch
from isozoo.data.damage import ReplacedImages
from isozoo.data.samples import Samples, cache_images
from isozoo.data.streams import streams
from isozoo.training.checkpoint import Position
from isozoo.training.distribute.strategy import Strategy
from isozoo.training.recipe import Recipe
from isozoo.training.recovery import Stop, StoppableSamples


@dataclasses.dataclass(frozen=True)
class Feed:
    """The training and validation batches of one run.

    Args:
        plan: The recipe.
        training: Training samples.
        validation: Validation samples.
        stop: Ends the run on request, also as images are read for the first time.
        strategy: Who shares the batches.
    """

    plan: Recipe
    training: ReplacedImages
    validation: Samples
    stop: Stop
    strategy: Strategy

    @functools.cached_property
    def steps(self) -> int:
        """Steps per epoch."""
        return steps_per_epoch(self.training, self.plan.batch_size)

    @functools.cached_property
    def _images(self) -> Samples:
        cache = self.plan.cache
        return self.training if cache is None else cache_images(self._read(self.training), cache)

    def _read(self, samples: Samples) -> Samples:
        return StoppableSamples(samples, functools.partial(self.stop.poll, "the first reading"))

    @functools.cached_property
    def validation_batches(self) -> Any:
        """The validation batches for all replicas, and how many they are if they do not say it."""
        return self.strategy.padded(
            self.whole_validation(self._share), self.plan.batch_size, len(self.validation)
        )

    def whole_validation(self, share: Share = WHOLE) -> Any:
        """Return the validation batches as one device reads them, or this worker's rows of them."""
        # Whoever has the memory for the training images has it for those of the validations.
        cache = self.plan.cache is not None
        samples = self._read(self.validation) if cache else self.validation
        return streams().evaluation(
            samples, self.plan.preparation(), self.plan.batch_size, cache=cache, share=share
        )

    def training_batches(self, epochs: range, size: int, first: int) -> Any:
        """Return the batches of epochs, from a step of the first on, for all replicas."""
        return self.strategy.share(self._training(epochs, size, first))

    @property
    def _share(self) -> Share:
        return Share(self.strategy.index, self.strategy.workers)

    def _training(self, epochs: range, size: int, first: int) -> Any:
        return streams().training(
            self._images,
            preprocessing=self.plan.preparation(),
            augment=self.plan.augmentation(size),
            batch_size=self.plan.batch_size,
            seed=self.plan.seed,
            epochs=epochs,
            start_step=first,
            share=self._share,
        )

    def damaged(self) -> list[int]:
        """Return the numbers of the training images that any worker met damaged; all ask at once.

        Raises:
            ImageError: Together they are more than may be passed over.
        """
        found = self.strategy.union(list(self.training.damage.found))
        self.training.learn(found)
        return found

    def size(self, epoch: int) -> int:
        """Return the image size of an epoch."""
        return next(size for epochs, size in self.plan.phase_ranges() if epoch in epochs)

    def images(self, steps_done: int) -> Any:
        """Return the images of the step after a number of steps, as its replicas get them."""
        epoch, step = Position.of(steps_done, self.steps)
        batches = self.training_batches(range(epoch, epoch + 1), self.size(epoch), step)
        images, _ = next(iter(batches))
        return images
