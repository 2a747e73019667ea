"""Keeps what exporting libraries say about themselves from the person who exports."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

#: Libraries that report each step of a conversion, to loggers of their own or to the root.
LIBRARIES = ("nncf", "tf2onnx", "onnxruntime")


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let libraries convert without progress on stdout, notes on steps and reports to makers.

    OpenVINO's converter and NNCF send a record of each use to their makers, unless their user
    declined once for all or they run in what they take for an automatic build, as here. Errors are
    raised as always.
    """
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    root, ignored = logging.getLogger(), logging.NullHandler()
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    root.addFilter(_not_of_a_library)
    # Without a handler, `logging.info` would set one up for the whole process.
    root.addHandler(ignored)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            # Keras asks NumPy 2 for `np.object`, to know whether tf2onnx must be mended.
            warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.removeFilter(_not_of_a_library)
        root.removeHandler(ignored)
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _not_of_a_library(record: logging.LogRecord) -> bool:
    """Pass on errors, and whatever others log meanwhile."""
    return record.levelno >= logging.ERROR or not set(LIBRARIES) & set(Path(record.pathname).parts)
