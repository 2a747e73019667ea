"""A table that is run in seconds, and the images for it."""

import numpy as np
import pytest
from PIL import Image

from isozoo.experiments import RunResult

TABLE = """
title = "Two tiny networks"
about = "For the tests."
varies = "width"
columns = [{ name = "16" }, { name = "8", recipe = { batch_size = 4 } }]

[scales.small]
about = "Seconds."
dataset = "nowhere"
headline_seeds = 2
columns = ["8"]

[scales.small.recipe]
batch_size = 8
cache = 20
optimizer = { learning_rate = 0.01 }
schedule = { name = "constant" }
preprocessing = { resize = 20, size = 16 }
phases = [{ epochs = 1, size = 16 }]

[[rows]]
name = "isonet"
title = "ISONet"
headline = true
recipe = { model = { name = "isonet-8-w{column}{variant}" } }
published = { 8 = 70.0, 16 = 0 }

[[rows]]
name = "wild"
title = "far too fast"
recipe = { model = { name = "vanilla-8-w{column}" } }
scales = { small = { optimizer = { learning_rate = 1e30 } } }
"""


#: What every run notes, whatever it came to.
RUN = {
    "column": "8", "model": "isonet-8-w8", "settings": "0", "dataset": "colours",
    "training_images": 16, "strategy": "one", "machine": {"cores": 2, "processor": "any"},
    "versions": {}, "outcome": "finished", "epochs": 1, "seconds": 1.0, "images": 4000,
    "chance": 0.1,
}  # fmt: skip


def result(row: str, seed: int, top1: float | None, **more) -> RunResult:
    """Return what a run might have come to."""
    outcome = "diverged" if top1 is None else "finished"
    found = {**RUN, "outcome": outcome, "row": row, "seed": seed, "top1": top1}
    return RunResult(**{**found, "images": None if top1 is None else 4000, **more})


@pytest.fixture
def tiny(tmp_path):
    """Path of a table with two rows."""
    path = tmp_path / "tiny.toml"
    path.write_text(TABLE)
    return path


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """Folder of 16 training and 4 validation images of two colours."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2)):
        for channel, colour in enumerate(("red", "green")):
            folder = root / split / colour
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 80, (24, 28, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root
