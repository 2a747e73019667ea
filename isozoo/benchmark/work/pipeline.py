"""The input pipeline: pictures decoded, cropped, resized, flipped and put into batches."""

from __future__ import annotations

from isozoo.benchmark.measures import Task
from isozoo.benchmark.work import networks
from isozoo.benchmark.worker import Work
from isozoo.data import Augment, ImageFolder
from isozoo.data.pipeline import training_dataset
from isozoo.models.architecture import architecture
from isozoo.models.classifier import PREPROCESSING
from isozoo.zoo.catalog import info

#: Batches of one repetition; few, as the stream is made anew for each.
BATCHES = 8


def own(task: Task) -> Work:
    """Prepare the stream that trains a network of isozoo."""
    settings, side = task.settings, networks.image_size(task)
    assert settings.data is not None  # the measure's row says that it is needed
    samples = ImageFolder.open(settings.data, "train")
    described = architecture(info(task.contender.name).architecture)

    def repeat() -> int:
        # A stream that goes on would fetch ahead while others have their turn.
        stream = training_dataset(
            samples,
            preprocessing=PREPROCESSING[described.stem],
            augment=Augment(size=side),
            batch_size=settings.batch_size,
            seed=0,
            epochs=range(1),
        )
        return sum(len(images) for images, _ in stream.take(BATCHES))

    return Work(repeat, BATCHES * settings.batch_size, side)
