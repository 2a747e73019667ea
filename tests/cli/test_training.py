"""isozoo train and isozoo evaluate: what they pass on and how they report."""

import json
import types
from pathlib import Path

import pytest

import isozoo


class Result:
    """What an evaluation returns."""

    reported = types.MappingProxyType({"top1": 0.9})
    measured = types.MappingProxyType({"top1": 0.8975, "loss": 0.3125})

    def __init__(self, within_tolerance):
        self.within_tolerance = within_tolerance

    def to_dict(self):
        return {"measured": dict(self.measured), "within_tolerance": self.within_tolerance}


@pytest.fixture
def calls(monkeypatch):
    made = []
    room = types.SimpleNamespace(
        train=lambda *args, **options: made.append((args, options)),
        evaluate=lambda *args: made.append(args) or room.result,
        result=Result(True),
    )
    monkeypatch.setattr(isozoo, "training", room, raising=False)
    made_by = types.SimpleNamespace(made=made, room=room)
    return made_by


def test_train_passes_its_arguments_on(isozoo_command, calls):
    found = isozoo_command("train", "small.toml", "--data", "d", "--out", "o", "--resume")
    assert found == (0, "o\n", "")
    assert calls.made == [((Path("small.toml"), Path("d"), Path("o")), {"resume": True})]


def test_train_names_the_folder_after_the_recipe(isozoo_command, calls):
    assert isozoo_command("train", "recipes/small.toml", "--data", "d").out == "runs/small\n"
    assert calls.made[0][1] == {"resume": False}


def test_evaluate_prints_reported_beside_measured(isozoo_command, calls):
    found = isozoo_command("evaluate", "some-net", "--data", "d")
    assert calls.made == [("some-net", Path("d"), "val")]
    assert found.code == 0
    assert [line.split() for line in found.out.splitlines()] == [
        ["METRIC", "REPORTED", "MEASURED"],
        ["top1", "90.00", "%", "89.75", "%"],
        ["loss", "0.3125"],
    ]


def test_outside_the_tolerance_is_code_1_and_said(isozoo_command, calls):
    calls.room.result = Result(False)
    found = isozoo_command("evaluate", "some-net", "--data", "d", "--split", "test")
    assert calls.made == [("some-net", Path("d"), "test")]
    assert found.code == 1
    assert "outside the tolerance" in found.err


@pytest.mark.parametrize(("within", "code"), [(True, 0), (False, 1)])
def test_evaluate_as_json_has_the_same_code(isozoo_command, calls, within, code):
    calls.room.result = Result(within)
    found = isozoo_command("evaluate", "some-net", "--data", "d", "--json")
    assert (found.code, found.err) == (code, "")
    assert json.loads(found.out)["within_tolerance"] is within
