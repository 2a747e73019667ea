"""A data set of two colours, and the folder of a run on it."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

RECIPE = """
tag = "colours"

[model]
name = "{model}"

[optimizer]
learning_rate = 0.05

[preprocessing]
resize = 16
size = 16

[[phases]]
epochs = 3
size = 16
"""


def write_data(root: Path, count: int = 3) -> Path:
    random = np.random.default_rng(0)
    for number, name in enumerate(("blue", "red")):
        folder = root / "val" / name
        folder.mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 256, (20, 20, 3), "uint8")
            pixels[..., 2 * number] //= 2
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


def write_run(root: Path, model: str = "r-isonet-8", log: list | None = None) -> Path:
    run = root / f"{model}.colours"
    run.mkdir()
    (run / "recipe.toml").write_text(RECIPE.format(model=model))
    if log is not None:
        (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    return run
