"""Runs are done once, go on, and a loss that is no number is a result."""

import dataclasses
import json
import os
import pickle
import signal
import threading
import time

import pytest

from isozoo.errors import ExperimentError
from isozoo.experiments import reproduce
from isozoo.experiments.runner import Plan, collect
from isozoo.training import TrainingInterrupted, find_runs


@pytest.fixture
def plan(tiny, colours, tmp_path):
    return Plan(table=str(tiny), data=str(colours), out=tmp_path / "out")


def test_a_job_trains_and_notes_what_came_of_it(plan, colours):
    job = plan.jobs()[0]
    assert (job.row, job.seed, job.outcome()) == ("isonet", 0, None)
    result = job.run()
    assert job.outcome() == result
    assert (result.outcome, result.images, result.epochs, result.chance) == ("finished", 4, 1, 0.5)
    assert result.top1 is not None
    assert result.penalty is not None
    assert not list(job.folder.rglob("checkpoints"))
    assert (job.folder / "output.txt").is_file()
    results = collect(plan)
    assert results.runs == (result,)
    assert [run.name for run in find_runs(plan.folder)] == [job.name]
    assert json.loads((plan.folder / "results.json").read_text())["dataset"] == colours.name


def test_a_loss_that_is_no_number_is_a_result(plan):
    job = next(job for job in plan.jobs() if job.row == "wild")
    result = job.run()
    assert (result.outcome, result.top1, result.learned) == ("diverged", None, False)
    assert "step" in result.reason
    assert str(job.out) not in result.reason


def test_other_settings_do_not_count_as_done(plan, tiny):
    job = plan.jobs()[0]
    job.recipe.parent.mkdir(parents=True)
    job.recipe.write_text(job.text)
    assert job.outcome() is None
    tiny.write_text(tiny.read_text().replace("learning_rate = 0.01", "learning_rate = 0.02"))
    with pytest.raises(ExperimentError, match="was run with other settings"):
        plan.jobs()[0].outcome()


def test_a_damaged_outcome_is_named(plan):
    job = plan.jobs()[0]
    job.folder.mkdir(parents=True)
    (job.folder / "outcome.json").write_text("{")
    with pytest.raises(ExperimentError, match=r"outcome\.json is damaged"):
        job.outcome()


def test_first_seeds_go_first(plan):
    assert [(job.row, job.seed) for job in plan.jobs()] == [
        ("isonet", 0),
        ("wild", 0),
        ("isonet", 1),
    ]


def test_an_interruption_passes_between_processes(tmp_path):
    passed = pickle.loads(pickle.dumps(TrainingInterrupted("stopped", tmp_path)))
    assert (str(passed), passed.checkpoint) == ("stopped", tmp_path)


def test_no_jobs_at_a_time_are_refused(plan):
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        reproduce(plan, jobs=0)
    mirrored = dataclasses.replace(plan, strategy="mirrored")
    with pytest.raises(ValueError, match="'mirrored' takes all devices for each run"):
        reproduce(mirrored, jobs=2)


@pytest.mark.slow
def test_a_table_is_run_once_by_processes_of_its_own(plan):
    told = []
    results = reproduce(plan, jobs=2, told=lambda *what: told.append(what))
    assert [(done, wanted) for done, wanted, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [(run.row, run.seed) for run in results.runs] == [
        ("isonet", 0),
        ("isonet", 1),
        ("wild", 0),
    ]
    again = reproduce(plan, told=lambda *what: pytest.fail(f"{what} was run again"))
    assert again.runs == results.runs


@pytest.mark.slow
def test_a_table_that_is_stopped_goes_on_where_it_was(plan, tiny):
    long = tiny.read_text().replace("epochs = 1, size", "epochs = 400, size")
    tiny.write_text(long)
    plan = dataclasses.replace(plan, rows=["isonet"], seeds=1)
    (job,) = plan.jobs()
    log = job.folder / "log.jsonl"

    def stop_when_it_trains():
        while not log.is_file():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_when_it_trains, daemon=True).start()
    with pytest.raises(TrainingInterrupted, match="SIGTERM"):
        reproduce(plan)
    assert list((job.folder / "checkpoints").iterdir())
    assert job.outcome() is None
    assert 0 < len(log.read_text().splitlines()) < 400
