"""isozoo train and isozoo evaluate: what they pass on and how they report."""

import json
import types
from pathlib import Path

import pytest

import isozoo
from isozoo.training import TrainingInterrupted
from isozoo.training.distribute import WorkerLostError
from isozoo.training.evaluation import Evaluation

DEFAULTS = {
    "resume": False,
    "checkpoint_minutes": 10.0,
    "csv": False,
    "tensorboard": False,
    "strategy": "one",
}


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
        evaluate=lambda *args, **options: made.append((args, options)) or room.result,
        run=types.SimpleNamespace(
            directory=Path("o/small"), metrics={"top1": 0.5, "images": 10}, chief=True
        ),
        result=evaluation(0.8975),
    )
    monkeypatch.setattr(isozoo, "training", room, raising=False)
    return types.SimpleNamespace(made=made, room=room)


def test_train_passes_its_arguments_on(isozoo_command, calls):
    found = isozoo_command("train", "small.toml", "--data", "d", "--out", "o", "--resume")
    assert found == (0, "top1: 50.00 %\nimages: 10\nweights: o/small\n", "")
    options = DEFAULTS | {"resume": True}
    assert calls.made == [((Path("small.toml"), Path("d"), Path("o")), options)]


def test_the_chief_alone_says_what_came_of_it(isozoo_command, calls):
    calls.room.run.chief = False
    assert isozoo_command("train", "small.toml", "--data", "d") == (0, "", "")


def test_train_writes_below_runs_unless_told_otherwise(isozoo_command, calls):
    isozoo_command("train", "recipes/small.toml", "--data", "d")
    assert calls.made == [((Path("recipes/small.toml"), Path("d"), Path("runs")), DEFAULTS)]


def test_train_tells_how_the_run_is_kept(isozoo_command, calls):
    more = ("--checkpoint-minutes", "2.5", "--csv", "--tensorboard", "--strategy", "mirrored")
    isozoo_command("train", "small.toml", "--data", "d", *more)
    ((_, options),) = calls.made
    assert options == {
        **{"resume": False, "checkpoint_minutes": 2.5},
        **{"csv": True, "tensorboard": True, "strategy": "mirrored"},
    }


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "soon"])
def test_minutes_are_more_than_0(isozoo_command, calls, minutes):
    found = isozoo_command("train", "small.toml", "--data", "d", "--checkpoint-minutes", minutes)
    assert found.code == 2
    assert "--checkpoint-minutes" in found.err
    assert not calls.made


def test_a_run_that_was_asked_to_stop_has_a_code_of_its_own(isozoo_command, calls):
    def stop(*args, **options):
        raise TrainingInterrupted("stopped by SIGTERM; repeat with --resume", Path("o"))

    calls.room.train, calls.room.TrainingInterrupted = stop, TrainingInterrupted
    found = isozoo_command("train", "small.toml", "--data", "d")
    assert found == (75, "", "isozoo: stopped by SIGTERM; repeat with --resume\n")


def test_a_worker_that_lost_another_has_a_code_of_its_own(isozoo_command, calls):
    def lose(*args, **options):
        raise WorkerLostError("worker 0 lost another of the 2; start all of them again")

    calls.room.train, calls.room.TrainingInterrupted = lose, TrainingInterrupted
    found = isozoo_command("train", "small.toml", "--data", "d", "--strategy", "multiworker")
    assert found == (69, "", "isozoo: worker 0 lost another of the 2; start all of them again\n")


def test_evaluate_prints_reported_beside_measured(isozoo_command, calls):
    found = isozoo_command("evaluate", "some-net", "--data", "d")
    assert calls.made == [(("some-net", Path("d"), "val"), {"max_damaged": 0})]
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
    assert calls.made == [(("some-net", Path("d"), "test"), {"max_damaged": 0})]
    assert found.code == 1
    assert found.err == "isozoo: top1 differs by more than 0.50 % from what the weights report\n"


@pytest.mark.parametrize(("measured", "code"), [(0.9, 0), (0.89, 1)])
def test_evaluate_as_json_has_the_same_code(isozoo_command, calls, measured, code):
    calls.room.result = evaluation(measured)
    found = isozoo_command("evaluate", "some-net", "--data", "d", "--json")
    assert (found.code, found.err) == (code, "")
    assert json.loads(found.out)["measured"] == measured
