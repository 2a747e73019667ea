"""Training in a process whose disk is full from some checkpoint on."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import keras

from isozoo.errors import IsozooError
from isozoo.training import loop


def train_until_full(
    folder: Path, saves: int, told: Connection, environment: Mapping[str, str]
) -> None:
    """Train with another worker, saving after each step; tell of the error that ends it.

    Args:
        folder: Where recipe and data are, and `runs` will be.
        saves: Checkpoints that find room.
        told: Where the name and the text of the error are sent.
        environment: Variables that tell of the other worker.
    """
    os.environ.update(environment)
    save, left = keras.Model.save_weights, [saves]

    def save_while_there_is_room(model, path, **options):
        if not left[0]:
            Path(path).write_bytes(b"half of a file")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        left[0] -= 1
        save(model, path, **options)

    keras.Model.save_weights = save_while_there_is_room
    try:
        loop.train(
            folder / "recipe.toml",
            folder / "data",
            folder / "runs",
            checkpoint_minutes=1e-9,
            strategy="multiworker",
        )
    except IsozooError as error:
        told.send((type(error).__name__, str(error)))
