"""isozoo predict, on a model that knows two colours."""

import io
import json
import os
import sys
import types

import numpy as np
import pytest
from PIL import Image

import isozoo
from isozoo.models.classifier import Prediction


class Colours:
    """Tells red from green, and remembers how many pictures came at once."""

    def __init__(self):
        self.batches = []

    def classify(self, images, top, batch_size):
        self.batches.append(len(images))
        found = []
        for image in images:
            red, green, _ = np.asarray(image).reshape(-1, 3).mean(0) / 255
            shares = sorted([("red", red, 0), ("green", green, 1)], key=lambda item: -item[1])
            found.append([Prediction(label, float(share), i) for label, share, i in shares][:top])
        return found


@pytest.fixture
def model(monkeypatch):
    colours = Colours()
    monkeypatch.setattr(isozoo, "load", lambda name: colours)
    return colours


@pytest.fixture
def pictures(tmp_path):
    for name, colour in {"a": (255, 0, 0), "b": (51, 204, 0), "c": (255, 0, 0)}.items():
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.mark.usefixtures("model")
class TestOutput:
    """What is printed, and the exit code."""

    def test_labels_with_their_probabilities(self, isozoo_command, pictures):
        found = isozoo_command("predict", pictures / "b.png")
        assert found == (0, f"{pictures}/b.png\n  80.00 %  green\n  20.00 %  red\n", "")

    def test_top(self, isozoo_command, pictures):
        found = isozoo_command("predict", pictures / "b.png", "--top", "1")
        assert found.out.splitlines()[1:] == ["  80.00 %  green"]

    def test_a_folder_in_the_order_of_names(self, isozoo_command, pictures):
        out = isozoo_command("predict", pictures).out
        assert [line for line in out.splitlines() if line.endswith("png")] == [
            f"{pictures}/{name}.png" for name in "abc"
        ]

    def test_as_json(self, isozoo_command, pictures):
        found = json.loads(isozoo_command("predict", pictures / "b.png", "--json").out)
        assert found["model"] == "r-isonet-18-w32.imagenette"
        (image,) = found["images"]
        assert image["image"] == f"{pictures}/b.png"
        assert image["predictions"][0] == {"label": "green", "probability": 0.8, "index": 1}

    def test_a_picture_from_stdin(self, isozoo_command, pictures, monkeypatch):
        stream = types.SimpleNamespace(buffer=io.BytesIO((pictures / "a.png").read_bytes()))
        monkeypatch.setattr(sys, "stdin", stream)
        assert "100.00 %  red" in isozoo_command("predict", "-").out

    def test_an_unreadable_picture_is_reported_last_and_the_others_go_on(
        self, isozoo_command, pictures
    ):
        (pictures / "broken.png").write_bytes(b"no picture")
        found = isozoo_command("predict", pictures, "--batch-size", "2", "--json")
        reason, summary = found.err.splitlines()
        assert found.code == 1
        assert "broken.png" in reason
        assert summary == "isozoo: 1 of 4 pictures could not be classified"
        images = json.loads(found.out)["images"]
        assert ["error" in image for image in images] == [False, False, True, False]
        assert images[3]["predictions"][0]["label"] == "red"

    def test_a_missing_file_is_one_that_cannot_be_read(self, isozoo_command, pictures):
        found = isozoo_command("predict", pictures / "absent.png", pictures / "a.png")
        assert found.code == 1
        assert "absent.png" in found.err
        assert "100.00 %  red" in found.out

    def test_no_progress_bar_where_nobody_watches(self, isozoo_command, pictures):
        assert isozoo_command("predict", pictures).err == ""


def test_pictures_are_classified_in_batches(isozoo_command, pictures, model):
    isozoo_command("predict", pictures, "--batch-size", "2")
    assert model.batches == [2, 1]


def test_the_model_is_the_one_asked_for(isozoo_command, pictures, monkeypatch):
    asked = []
    monkeypatch.setattr(isozoo, "load", lambda name: asked.append(name) or Colours())
    isozoo_command("predict", pictures / "a.png", "--model", "isonet-18.imagenet")
    assert asked == ["isonet-18.imagenet"]


def test_what_a_network_cannot_take_is_named_and_the_others_go_on(isozoo_command, tmp_path):
    good = Image.linear_gradient("L").resize((200, 180)).convert("RGB")
    good.save(tmp_path / "good.png")
    Image.new("RGB", (60000, 1)).save(tmp_path / "strip.png")
    good.save(tmp_path / "truncated.jpg")
    whole = (tmp_path / "truncated.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    found = isozoo_command("predict", tmp_path, "--json", "--top", "1")
    strip, truncated, summary = found.err.splitlines()
    assert found.code == 1
    assert f"{tmp_path}/strip.png: a picture of 60000x1 pixels is too narrow" in strip
    assert f"{tmp_path}/truncated.jpg" in truncated
    assert summary == "isozoo: 2 of 3 pictures could not be classified"
    first, *others = json.loads(found.out)["images"]
    (expected,) = isozoo.load("r-isonet-18-w32.imagenette").classify(good, top=1)
    assert first["predictions"][0]["label"] == expected[0].label
    assert first["predictions"][0]["probability"] == pytest.approx(expected[0].probability)
    assert all("error" in image for image in others)


def test_an_empty_folder_is_an_error(isozoo_command, tmp_path):
    found = isozoo_command("predict", tmp_path)
    assert found.code == 2
    assert str(tmp_path) in found.err


def test_a_fresh_process_says_nothing_but_the_answer(pictures, tmp_path, python):
    model = isozoo.create("isonet-8", labels=["red", "green"])
    model.save_pretrained(tmp_path / "weights")
    (expected,) = model.classify(pictures / "a.png", top=1)
    found = python(
        *("-m", "isozoo", "predict", str(pictures / "a.png"), "--top", "1"),
        *("--model", str(tmp_path / "weights"), "--backend", "tensorflow"),
        TF_CPP_MIN_LOG_LEVEL="3",
    )
    assert (found.returncode, found.stderr) == (0, "")
    name, answer = found.stdout.splitlines()
    assert name == str(pictures / "a.png")
    assert answer == f"{100 * expected[0].probability:7.2f} %  {expected[0].label}"


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are a Unix thing")
def test_a_person_at_a_terminal_sees_bars(pictures, monkeypatch, capfd, model):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    from isozoo.cli import main

    assert main(["predict", str(pictures / "b.png")]) == 0
    green, red = capfd.readouterr().out.splitlines()[1:3]
    assert green.count("█") == 24
    assert red.count("█") == 6
