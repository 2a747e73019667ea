"""The learning curve: drawn from a log, with a panel for each thing that the log has."""

import sys

import pytest
from PIL import Image

from isozoo.errors import MissingExtraError
from isozoo.models.curves import panels_of, plot_runs

LOG = [
    {"epoch": 1, "size": 64, "accuracy": 0.2, "penalty": 1.0},
    {"epoch": 2, "size": 96, "accuracy": 0.4, "penalty": 2.0, "val_accuracy": 0.5},
]


@pytest.fixture
def matplotlib():
    pytest.importorskip("matplotlib", reason="plots need the extra `train`")


def test_a_picture_with_something_on_it(tmp_path, matplotlib):
    with Image.open(plot_runs({"a": LOG, "b": LOG[1:]}, tmp_path / "runs.png")) as picture:
        assert picture.size == (1000, 400)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


@pytest.mark.parametrize(
    ("row", "titles"),
    [
        ({"epoch": 1, "loss": 2.0}, ["loss on the training images"]),
        ({"epoch": 1, "penalty": 0.0}, ["orthogonality penalty"]),
        ({"epoch": 1, "accuracy": 0.5}, ["accuracy: validation (thick), training (thin)"]),
        ({"epoch": 1, "learning_rate": 0.1}, []),
        ({"loss": 2.0}, []),
    ],
)
def test_each_thing_in_the_log_has_its_panel(row, titles, tmp_path, matplotlib):
    assert [panel.title for panel in panels_of([[row]])] == titles
    if titles:
        with Image.open(plot_runs({"a": [row]}, tmp_path / "a.png")) as picture:
            assert picture.size == (500, 400)
    else:
        with pytest.raises(ValueError, match="at least one epoch and one of loss, accuracy, val_"):
            plot_runs({"a": [row]}, tmp_path / "a.png")


def test_equal_logs_give_equal_pictures(tmp_path, matplotlib):
    first, second = (
        plot_runs({"a": LOG}, tmp_path / name).read_bytes() for name in ("a.png", "b.png")
    )
    assert first == second
    assert b"Matplotlib" not in first


def test_other_formats_can_be_drawn(tmp_path, matplotlib):
    assert "<svg" in plot_runs({"a": LOG}, tmp_path / "a.svg").read_text()


def test_nothing_to_draw(tmp_path, matplotlib):
    with pytest.raises(ValueError, match="at least one run, each with at least one epoch"):
        plot_runs({"a": []}, tmp_path / "runs.png")


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isozoo\[train\]'"):
        plot_runs({"a": LOG}, tmp_path / "runs.png")
