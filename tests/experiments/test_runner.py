"""Runs are done once, go on, and a loss that is no number is a result."""

import dataclasses
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import time
from typing import Any

import pytest

from isozoo.errors import DataError, ExperimentError
from isozoo.experiments import Plan, collect, reproduce, runner, write_recipes
from isozoo.experiments.table import settings_hash
from isozoo.training import TrainingInterrupted, find_runs

from .conftest import result


@pytest.fixture
def plan(tiny, colours, tmp_path):
    return Plan(table=str(tiny), data=str(colours), out=tmp_path / "out")


def test_a_job_trains_and_notes_what_came_of_it(plan, colours):
    job = plan.jobs()[0]
    assert (job.row, job.seed, job.outcome()) == ("isonet", 0, None)
    found = job.run()
    assert job.outcome() == found
    assert (found.outcome, found.images, found.epochs, found.chance) == ("finished", 4, 1, 0.5)
    assert (found.dataset, found.training_images) == (colours.name, 16)
    assert found.top1 is not None
    assert found.penalty is not None
    assert not list(job.folder.rglob("checkpoints"))
    assert (job.folder / "output.txt").is_file()
    results = collect(plan)
    assert results.runs == (found,)
    assert [run.name for run in find_runs(plan.folder)] == [job.name]
    assert json.loads((plan.folder / "results.json").read_text())["runs"][0]["top1"] == found.top1


def test_a_loss_that_is_no_number_is_a_result(plan):
    job = next(job for job in plan.jobs() if job.row == "wild")
    found = job.run()
    assert (found.outcome, found.top1, found.learned) == ("diverged", None, False)
    assert "step" in found.reason
    assert str(job.out) not in found.reason


def note(job, **more):
    """Leave an outcome where a run would."""
    found = result(job.row, job.seed, 0.6, **{"settings": settings_hash(job.settings), **more})
    job.folder.mkdir(parents=True)
    (job.folder / "outcome.json").write_text(json.dumps(dataclasses.asdict(found)))


def test_other_settings_do_not_count_as_done(plan, tiny, colours):
    note(plan.jobs()[0], dataset=colours.name)
    assert plan.jobs()[0].outcome() is not None
    tiny.write_text(tiny.read_text().replace('title = "ISONet"', 'title = "another"'))
    assert plan.jobs()[0].outcome() is not None
    tiny.write_text(tiny.read_text().replace("learning_rate = 0.01", "learning_rate = 0.02"))
    with pytest.raises(ExperimentError, match="was run with another setting"):
        plan.jobs()[0].outcome()
    write_recipes(plan)
    with pytest.raises(ExperimentError, match="was run with another setting"):
        plan.jobs()[0].outcome()
    with pytest.raises(ExperimentError, match="is no run of 'tiny' as the table is now"):
        collect(plan)


def test_a_row_that_is_gone_is_named(plan, tiny):
    note(plan.jobs()[0])
    tiny.write_text(tiny.read_text().replace('name = "isonet"', 'name = "other"'))
    with pytest.raises(ExperimentError, match="is no run of 'tiny' as the table is now"):
        collect(plan)


def test_other_data_do_not_count_as_done(plan):
    first, second = plan.jobs()[:2]
    note(first, dataset="elsewhere")
    with pytest.raises(ExperimentError, match=r"with another dataset \(elsewhere, now colours"):
        first.outcome()
    note(second)
    with pytest.raises(ExperimentError, match="are of different data"):
        collect(plan)


def test_a_damaged_picture_is_passed_over(plan, tiny, colours, tmp_path):
    data = tmp_path / "damaged"
    shutil.copytree(colours, data)
    (data / "train" / "red" / "0.png").write_bytes(b"no picture")
    (data / "val" / "red" / "0.png").write_bytes(b"no picture")
    found = dataclasses.replace(plan, data=str(data)).jobs()[0].run()
    assert (found.outcome, found.images) == ("finished", 3)


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
    assert [what[:2] for what in told] == [(1, 3), (2, 3), (3, 3)]
    assert [(run.row, run.seed) for run in results.runs] == [
        ("isonet", 0),
        ("isonet", 1),
        ("wild", 0),
    ]
    again = reproduce(plan, told=lambda *what: pytest.fail(f"{what} was run again"))
    assert again.runs == results.runs


@pytest.mark.slow
def test_a_table_that_is_stopped_goes_on_where_it_was(plan, tiny):
    tiny.write_text(tiny.read_text().replace("epochs = 1, size", "epochs = 20, size"))
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
    assert 0 < len(log.read_text().splitlines()) < 20

    (found,) = reproduce(plan).runs
    (undisturbed,) = reproduce(dataclasses.replace(plan, out=plan.out / "undisturbed")).runs
    assert found.epochs == 20
    assert dataclasses.replace(found, seconds=0) == dataclasses.replace(undisturbed, seconds=0)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_run_that_fails_ends_the_others(plan, tiny):
    tiny.write_text(
        tiny.read_text()
        .replace("epochs = 1, size", "epochs = 100000, size")
        .replace(
            "{ small = { optimizer = { learning_rate = 1e30 } } }",
            "{ small = { batch_size = 999 } }",
        )
    )
    plan = dataclasses.replace(plan, seeds=1)
    with pytest.raises(DataError, match="do not fill one batch of 999"):
        reproduce(plan, jobs=2)
    assert not multiprocessing.active_children()


@dataclasses.dataclass(frozen=True)
class Number:
    """A job that tells in which process it ran."""

    number: int

    def run(self):
        return self.number, os.getpid()


def test_more_runs_than_a_process_does_are_done_by_others(monkeypatch):
    monkeypatch.setattr(runner, "_TASKS", 2)
    jobs: Any = [Number(number) for number in range(4)]
    found: list[Any] = list(runner._run(jobs, jobs=1))
    assert sorted(number for number, _ in found) == [0, 1, 2, 3]
    assert len({process for _, process in found} - {os.getpid()}) == 2
