"""isozoo train and isozoo evaluate for real, on drawn pictures."""

import json

import numpy as np
import pytest
from PIL import Image

RECIPE = """
title = "Two colours"
tag = "colours"
dataset = "Drawn squares in two colours"
batch_size = 4

[model]
name = "r-isonet-8"

[optimizer]
learning_rate = 0.01

[schedule]
name = "cosine"
warmup_epochs = 0

[preprocessing]
resize = 32
size = 32

[[phases]]
epochs = 1
size = 32
"""


@pytest.fixture
def colours(tmp_path):
    """A folder with `data`, pictures of two classes, and `recipe.toml`."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for channel, name in enumerate(("red", "green")):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 90, (40, 48, 3), np.uint8)
                pixels[8:32, 8:40, channel] += 150
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def truncate(path):
    path.write_bytes(path.read_bytes()[:400])


def test_what_was_trained_evaluates_to_the_numbers_it_reports(isozoo_command, colours, caplog):
    data, out = colours / "data", colours / "runs"
    recipe = colours / "recipe.toml"
    trained = isozoo_command("train", recipe, "--data", data, "--out", out)
    assert trained.code == 0, trained.err
    weights = out / "r-isonet-8.colours" / "r-isonet-8.colours"
    top1, *_, images, written = trained.out.splitlines()
    assert written == f"weights: {weights}"
    assert images == "images: 8"
    assert (weights / "recipe.toml").read_text() == RECIPE

    found = isozoo_command("evaluate", weights, "--data", data, "--json")
    assert (found.code, found.err) == (0, "")
    result = json.loads(found.out)
    assert result["reported"] == result["measured"]
    assert top1 == f"top1: {100 * result['measured']:.2f} %"

    truncate(data / "val" / "red" / "1.jpg")
    found = isozoo_command("evaluate", weights, "--data", data)
    assert (found.code, found.out) == (2, "")
    (line,) = found.err.splitlines()
    assert "val/red/1.jpg" in line
    found = isozoo_command("evaluate", weights, "--data", data, "--max-damaged", 1, "--json")
    assert json.loads(found.out)["images"] == 7
    assert "passing over a damaged image of val" in caplog.text


def test_a_damaged_training_picture_is_one_line(isozoo_command, colours):
    (colours / "recipe.toml").write_text("max_damaged = 0\n" + RECIPE)
    truncate(colours / "data" / "train" / "green" / "2.jpg")
    found = isozoo_command(
        *("train", colours / "recipe.toml", "--data", colours / "data"),
        *("--out", colours / "runs"),
    )
    assert (found.code, found.out) == (2, "")
    assert "Traceback" not in found.err
    line = found.err.splitlines()[-1]
    assert line.startswith("isozoo: ")
    assert "train/green/2.jpg" in line
