"""A data set that can be learned in seconds, and the recipe that learns it."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isozoo.training import TrainingRun, train
from isozoo.training.recovery import Tracker

RECIPE = """
title = "Three colours"
tag = "colours"
dataset = "Drawn squares in three colours"
batch_size = 8
validate_every = 2
cache = 40

[model]
name = "r-isonet-8"
dropout = 0.3

[optimizer]
learning_rate = 0.05
weight_decay = 1e-4

[schedule]
name = "cosine"
warmup_epochs = 1

[augment]
scale = [0.5, 1.0]

[preprocessing]
resize = 36
size = 32

[[phases]]
epochs = 2
size = 24

[[phases]]
epochs = 2
size = 32
"""


def assert_same_run(found: TrainingRun, expected: TrainingRun) -> None:
    """Check that two runs have the same weights and log to the bit, but for the time they took."""
    for one, other in zip(found.model.weights, expected.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    timeless = [
        [{k: v for k, v in row.items() if "second" not in k} for row in run.log]
        for run in (found, expected)
    ]
    assert timeless[0] == timeless[1]


def signal_after(position: tuple[int, int], number: signal.Signals, monkeypatch) -> None:
    """Send this process a signal in the step that leads to a position."""
    count = Tracker.on_train_batch_end

    def count_and_signal(self, batch, logs=None):
        count(self, batch, logs)
        if self.position == position:
            signal.raise_signal(number)

    monkeypatch.setattr(Tracker, "on_train_batch_end", count_and_signal)


#: What a recipe says to go back instead of stopping.
ROLLBACK = """
[recovery]
on_nan = "rollback"
learning_rate_factor = 0.001
"""


@pytest.fixture(autouse=True)
def heeded():
    """Ctrl-C as in a terminal: what a shell starts in the background begins with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def colours(tmp_path_factory) -> Path:
    """A folder of `train` and `val` pictures of three classes, told apart by their colour."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 90, (40, 48, 3), np.uint8)
                pixels[8:32, 8:40, channel] += 150
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def whole_run(colours, tmp_path_factory) -> TrainingRun:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "recipe.toml").write_text(RECIPE)
    return train(folder / "recipe.toml", colours, folder / "runs")


@pytest.fixture
def recipe(tmp_path) -> Callable[..., Path]:
    """Write the recipe with replacements; returns its path."""

    def write(**changes: str) -> Path:
        text = RECIPE
        for old, new in changes.items():
            line = next(line for line in text.splitlines() if line.startswith(f"{old} ="))
            text = text.replace(line, f"{old} = {new}", 1)
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write
