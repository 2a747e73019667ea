import sys

import pytest
from PIL import Image

from isozoo.errors import MissingExtraError
from isozoo.training.plots import plot_runs

LOG = [
    {"epoch": 1, "size": 64, "accuracy": 0.2, "penalty": 1.0},
    {"epoch": 2, "size": 96, "accuracy": 0.4, "penalty": 2.0, "val_accuracy": 0.5},
]


def test_a_picture_with_something_on_it(tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the extra `train`")
    with Image.open(plot_runs({"a": LOG, "b": LOG[1:]}, tmp_path / "runs.png")) as picture:
        assert picture.size == (1200, 480)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="at least one run, each with at least one epoch"):
        plot_runs({"a": []}, tmp_path / "runs.png")


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isozoo\[train\]'"):
        plot_runs({"a": LOG}, tmp_path / "runs.png")
