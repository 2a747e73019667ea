"""Where isozoo keeps what it made on this machine: weights it converted, checkpoints it fetched."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: Environment variable that names another place than `~/.isozoo`.
HOME = "ISOZOO_HOME"

# `isozoo.models.manifest.MANIFEST`, whose module imports NumPy, as `isozoo info` must not.
_MANIFEST = "isozoo.json"


def store_directory() -> Path:
    """Return the folder of converted weights: `$ISOZOO_HOME/weights`, or `~/.isozoo/weights`.

    It need not exist.
    """
    return _home() / "weights"


def downloads_directory() -> Path:
    """Return the folder of checkpoints as their authors released them, beside the weights.

    It need not exist. What is in it may be deleted: it is fetched again where it is needed.
    """
    return _home() / "downloads"


def stored(name: str) -> Path | None:
    """Return the folder that converted weights are in, or None if they were not converted here.

    Args:
        name: Full name of the weights, `architecture.tag`.

    Example:
        >>> stored("r-isonet-50.nobody-has-these") is None
        True
    """
    folder = store_directory() / name
    return folder if (folder / _MANIFEST).is_file() else None


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold back every other process, and thread, that works on the same weights.

    Args:
        name: Full name of the weights. The same thread may ask again while it holds them.

    Raises:
        OSError: The store cannot be written.
    """
    from filelock import FileLock

    place = _home() / "locks"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / f"{name}.lock", is_singleton=True):
        yield


def _home() -> Path:
    # Set but empty means not set, as for Hugging Face's and Keras's variables.
    return Path(os.environ.get(HOME) or "~/.isozoo").expanduser()
