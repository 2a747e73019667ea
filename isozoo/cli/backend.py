"""Starts Keras, or the runtime of an export, for the commands that need it, and quietly."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import isozoo
from isozoo.errors import IsozooError, MissingExtraError

if TYPE_CHECKING:
    from isozoo.export import ExportedClassifier

BACKENDS = ("tensorflow", "jax", "torch")

# TensorFlow's native log, as it looks before anything in Python can configure it.
_START_UP_NOTE = re.compile(
    rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:|To enable the following instructions"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate"
)


def start(asked: str | None) -> None:
    """Import Keras on a backend, without TensorFlow's notes on processors and absent GPUs.

    Args:
        asked: One of `BACKENDS`, or None for Keras's own choice (the ``KERAS_BACKEND`` variable,
            then ``~/.keras/keras.json``, then TensorFlow).

    Raises:
        MissingExtraError: The backend is not installed.
        IsozooError: Keras is already running on another backend in this process.
    """
    running = sys.modules.get("keras")
    if running is not None:
        if asked not in (None, running.backend.backend()):
            raise IsozooError(
                f"asked for --backend {asked}, but Keras already runs on "
                f"{running.backend.backend()} in this process; start a new one"
            )
        return
    if asked is not None:
        if importlib.util.find_spec(asked) is None:
            raise MissingExtraError(
                f"asked for --backend {asked}, which is not installed; pip install {asked}"
            )
        os.environ["KERAS_BACKEND"] = asked
    try:
        with _without_start_up_notes():
            importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        raise MissingExtraError(
            f"Keras is set to the backend {error.name} (by KERAS_BACKEND or ~/.keras/keras.json), "
            f"which is not installed; pip install {error.name}, or ask for another with --backend"
        ) from None


def open_exported(name: str, asked: str | None) -> ExportedClassifier | None:
    """Open an exported folder in its runtime; None if the name stands for weights.

    Args:
        name: Name or folder of weights, or exported folder.
        asked: The Keras backend that was asked for, which an export does not run on.

    Raises:
        IsozooError: One was asked for, or as `load_exported` raises it.
    """
    if not isozoo.export.means_export(name):
        return None
    if asked is not None:
        raise IsozooError(
            f"asked for --backend {asked}, but {name} is an export, which runs in its own runtime; "
            "leave out --backend"
        )
    with _without_start_up_notes():
        return isozoo.export.load_exported(name)


def bring(module: str) -> None:
    """Import a module that brings TensorFlow along, without TensorFlow's start-up notes.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    with _without_start_up_notes():
        importlib.import_module(module)


@contextlib.contextmanager
def _without_start_up_notes() -> Iterator[None]:
    """Hold back what is written to stderr, and pass on all but TensorFlow's start-up notes.

    What TensorFlow 2.21 logs while its libraries are loaded heeds no variable, so the file
    descriptor itself is held for that long.
    """
    # Read by TensorFlow's native side. It reports an absent GPU as an error, so only 3 is quiet;
    # errors that matter are raised as exceptions. A value set by the user wins.
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not _START_UP_NOTE.match(line)))
