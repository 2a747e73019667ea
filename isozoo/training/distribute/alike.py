"""What workers that train together must have in common: what they were given, and the folder."""

from __future__ import annotations

import hashlib
import platform
import secrets
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import keras

from isozoo.data.samples import Samples
from isozoo.files import atomic_write
from isozoo.training.distribute import StrategyError
from isozoo.training.distribute.strategy import Strategy

#: Packages that decide what a step computes, of whichever the workers must have one version.
PACKAGES = ("isozoo", "keras", "numpy", "pillow")

# A folder on a network may take a moment to show what another machine wrote.
_SECONDS_TO_BE_SEEN = 30.0
_NONCE = ".seen-by-all"


def given(recipe: str, samples: Mapping[str, Samples]) -> dict[str, str]:
    """Return what a worker was given, by name: each a hash of what must be the same on all.

    The images themselves are not read; their number, order of classes and labels are.

    Args:
        recipe: The recipe's text.
        samples: The splits by name.
    """
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    versions += [keras.config.backend(), platform.python_version_tuple()[:2]]
    found = {"the recipe": recipe, "the versions of isozoo or what it computes with": versions}
    for split, part in samples.items():
        found[f"the classes of {split}"] = list(part.classes)
        found[f"the number of images in {split}"] = len(part)
        found[f"the labels of {split}"] = part.labels.tolist()
    return {name: hashlib.sha256(repr(value).encode()).hexdigest() for name, value in found.items()}


def check_alike(workers: Strategy, mine: Mapping[str, str]) -> None:
    """Refuse workers that were not given the same; all have to come here.

    Args:
        workers: The workers.
        mine: What `given` returns here.

    Raises:
        StrategyError: On all of them; the message says what differs.
    """
    chief = workers.decide(lambda: dict(mine))
    votes = workers.agree(*(mine.get(name) != value for name, value in chief.items()))
    different = [name for name, differs in zip(chief, votes, strict=True) if differs]
    if different:
        raise StrategyError(
            f"the {workers.workers} workers do not train the same: {', '.join(different)} differ "
            "from those of worker 0; give all of them the same recipe, data and environment"
        )


def check_shared(directory: Path, workers: Strategy) -> None:
    """Refuse a folder that the chief writes to and another worker does not see.

    The chief writes a word there that nobody knows, and the others look for it.

    Raises:
        StrategyError: On all of them.
    """
    if workers.workers == 1:
        return
    path = directory / _NONCE

    def write() -> str:
        word = secrets.token_hex(16)
        atomic_write(path, word)
        return word

    word = workers.decide(write)
    end = time.monotonic() + _SECONDS_TO_BE_SEEN
    while not (seen := _holds(path, word)) and time.monotonic() < end:
        time.sleep(0.1)
    (hidden,) = workers.agree(not seen)
    if workers.chief:
        path.unlink()
    if hidden:
        raise StrategyError(
            f"not all {workers.workers} workers see {directory}, which worker 0 made; --out must "
            "be a folder that all of them share"
        )


def _holds(path: Path, word: str) -> bool:
    try:
        return path.read_text("utf-8") == word
    except OSError:
        return False
