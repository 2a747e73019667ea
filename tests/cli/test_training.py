"""isozoo train and isozoo evaluate: what they pass on and how they report."""

import json
import types
from pathlib import Path

import pytest

import isozoo
from isozoo.training.evaluation import Evaluation


def evaluation(measured: float) -> Evaluation:
    return Evaluation(
        name="some-net",
        images=3925,
        reported=0.9,
        measured=measured,
        metrics={"top1": measured, "top5": 0.99, "cross_entropy": 0.3125, "images": 3925},
        tolerance=0.005,
    )


@pytest.fixture
def calls(monkeypatch):
    made = []
    room = types.SimpleNamespace(
        train=lambda *args, **options: made.append((args, options)) or room.run,
        evaluate=lambda *args: made.append(args) or room.result,
        run=types.SimpleNamespace(directory=Path("o/small"), metrics={"top1": 0.5, "images": 10}),
        result=evaluation(0.8975),
    )
    monkeypatch.setattr(isozoo, "training", room, raising=False)
    return types.SimpleNamespace(made=made, room=room)


def test_train_passes_its_arguments_on(isozoo_command, calls):
    found = isozoo_command("train", "small.toml", "--data", "d", "--out", "o", "--resume")
    assert found == (0, "top1: 50.00 %\nimages: 10\nweights: o/small\n", "")
    assert calls.made == [((Path("small.toml"), Path("d"), Path("o")), {"resume": True})]


def test_train_writes_below_runs_unless_told_otherwise(isozoo_command, calls):
    isozoo_command("train", "recipes/small.toml", "--data", "d")
    assert calls.made == [
        ((Path("recipes/small.toml"), Path("d"), Path("runs")), {"resume": False})
    ]


def test_evaluate_prints_reported_beside_measured(isozoo_command, calls):
    found = isozoo_command("evaluate", "some-net", "--data", "d")
    assert calls.made == [("some-net", Path("d"), "val")]
    assert found.code == 0
    assert [line.split() for line in found.out.splitlines()] == [
        ["METRIC", "REPORTED", "MEASURED"],
        ["top1", "90.00", "%", "89.75", "%"],
        ["top5", "99.00", "%"],
        ["cross_entropy", "0.3125"],
        ["images", "3,925"],
    ]


def test_outside_the_tolerance_is_code_1_and_said(isozoo_command, calls):
    calls.room.result = evaluation(0.89)
    found = isozoo_command("evaluate", "some-net", "--data", "d", "--split", "test")
    assert calls.made == [("some-net", Path("d"), "test")]
    assert found.code == 1
    assert found.err == "isozoo: top1 differs by more than 0.50 % from what the weights report\n"


@pytest.mark.parametrize(("measured", "code"), [(0.9, 0), (0.89, 1)])
def test_evaluate_as_json_has_the_same_code(isozoo_command, calls, measured, code):
    calls.room.result = evaluation(measured)
    found = isozoo_command("evaluate", "some-net", "--data", "d", "--json")
    assert (found.code, found.err) == (code, "")
    assert json.loads(found.out)["measured"] == measured
