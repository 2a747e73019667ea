"""Runs on data sets in which pictures are damaged."""

import logging
import shutil

import numpy as np
import pytest

from isozoo.errors import ImageError
from isozoo.training import train

SHORT = """
tag = "short"
batch_size = 8
max_damaged = {limit}

[model]
name = "r-isonet-8"

[schedule]
name = "constant"

[augment]
cutmix = 1.0

[preprocessing]
resize = 24
size = 24

[[phases]]
epochs = 1
size = 24
"""


@pytest.fixture
def damaged(colours, tmp_path):
    """The pictures, two of which are damaged in each split."""
    root = shutil.copytree(colours, tmp_path / "damaged")
    for name in ("train/red/2", "train/red/3", "val/blue/0", "val/green/3"):
        path = root / f"{name}.png"
        path.write_bytes(path.read_bytes()[:200])
    return root


@pytest.fixture
def short(tmp_path):
    """Write the recipe with a limit; returns its path."""

    def write(limit: int):
        path = tmp_path / "recipe.toml"
        path.write_text(SHORT.format(limit=limit))
        return path

    return write


def test_a_run_passes_over_damaged_pictures_and_says_so(damaged, colours, short, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run = train(short(2), damaged, tmp_path / "runs")
    told = [record.message for record in caplog.records]
    assert len([line for line in told if line.startswith("passing over")]) == 4
    for line, split, name in zip(told[-2:], ("train", "val"), ("red/2", "blue/0"), strict=True):
        assert line.startswith(f"2 damaged images of {split} passed over: cannot read '")
        assert f"{split}/{name}.png' as an image" in line
    assert run.metrics["images"] == 10
    # Who goes on from a checkpoint knows what was met before it, and without reading all anew.
    shutil.copy(damaged / "val/blue/1.png", damaged / "val/blue/0.png")
    with pytest.raises(ImageError, match=r"^more than 1 damaged images in train: .*red/2\.png"):
        train(short(1), damaged, tmp_path / "runs", resume=True)


@pytest.mark.slow
def test_what_stands_in_for_damaged_pictures_are_their_likes(damaged, colours, short, tmp_path):
    run = train(short(2), damaged, tmp_path / "runs")
    mended = shutil.copytree(colours, tmp_path / "mended")
    for name in ("2", "3"):
        shutil.copy(mended / "train/red/4.png", mended / f"train/red/{name}.png")
    for name in ("val/blue/0", "val/green/3"):
        (mended / f"{name}.png").unlink()
    other = train(short(0), mended, tmp_path / "others")
    for one, two in zip(run.model.weights, other.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    assert run.metrics == other.metrics


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (0, r"^cannot read '.*/red/[23]\.png' as an image"),
        (1, r"^more than 1 damaged images in train: .*red/2\.png.*; .*red/3\.png.*; mend or"),
    ],
)
def test_more_damage_than_allowed_ends_a_run(damaged, short, tmp_path, limit, message):
    shutil.copy(damaged / "val/blue/1.png", damaged / "val/blue/0.png")
    with pytest.raises(ImageError, match=message):
        train(short(limit), damaged, tmp_path / "runs")
