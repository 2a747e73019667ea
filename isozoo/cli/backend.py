"""Chooses what Keras computes with, before Keras is imported for the first time."""

from __future__ import annotations

import importlib.util
import os
import sys

from isozoo.errors import IsozooError, MissingExtraError

BACKENDS = ("tensorflow", "jax", "torch")


def choose(asked: str | None) -> None:
    """Set the Keras backend of this process and keep TensorFlow's start-up messages quiet.

    Args:
        asked: One of `BACKENDS`, or None for Keras's own choice (the ``KERAS_BACKEND`` variable,
            then ``~/.keras/keras.json``, then TensorFlow).

    Raises:
        MissingExtraError: The backend is not installed.
        IsozooError: Keras is already running on another backend in this process.
    """
    # Read by TensorFlow's C++ side as it is loaded: 2 hides its notes on CPU features and absent
    # GPUs, and leaves errors. A value set by the user wins.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if asked is None:
        return
    running = sys.modules.get("keras")
    if running is not None and running.backend.backend() != asked:
        raise IsozooError(
            f"asked for --backend {asked}, but Keras already runs on "
            f"{running.backend.backend()} in this process; start a new one"
        )
    if importlib.util.find_spec(asked) is None:
        raise MissingExtraError(
            f"asked for --backend {asked}, which is not installed; pip install {asked}"
        )
    os.environ["KERAS_BACKEND"] = asked
