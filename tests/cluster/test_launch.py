"""What is refused before Ray is asked for anything, and what a worker does with its job."""

import importlib.util
import json
import sys
import types

import pytest

from isozoo import cluster
from isozoo.cluster.worker import FAULT, STARTS, Job, read_starts, train_worker
from isozoo.errors import IsozooError, MissingExtraError, RecipeError
from isozoo.training import CheckpointError, loop

RECIPE = """
tag = "small"

[model]
name = "r-isonet-8"

[[phases]]
epochs = 1
size = 32
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


def test_without_the_extra(recipe, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"python -m pip install 'isozoo\[cluster\]'"):
        cluster.train(recipe, "data", workers=cluster.Workers(2))


@pytest.mark.parametrize("numbers", [{"max_failures": -1}, {"start_minutes": 0.0}])
def test_numbers_that_are_too_small(recipe, numbers):
    with pytest.raises(ValueError, match="max_failures must be at least 0 and start_minutes more"):
        cluster.train(recipe, "data", workers=cluster.Workers(2), **numbers)


def test_without_a_cluster_nothing_is_left_behind(recipe, tmp_path, monkeypatch):
    def init(**options):
        raise ConnectionError("no answer")

    ray = types.ModuleType("ray")
    ray.is_initialized, ray.init = lambda: False, init
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ray)
    with pytest.raises(cluster.ClusterError, match="no cluster at nowhere:6379: no answer"):
        cluster.train(
            recipe, "data", tmp_path / "runs", workers=cluster.Workers(2), address="nowhere:6379"
        )
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def ray_train(monkeypatch):
    """A stand-in for what a worker asks Ray: its number, and what the first one knows."""
    context = types.SimpleNamespace(get_world_rank=lambda: 0)
    collective = types.ModuleType("ray.train.collective")
    collective.broadcast_from_rank_zero = lambda value: value
    modules = {
        "ray": types.ModuleType("ray"),
        "ray.train": types.ModuleType("ray.train"),
        "ray.train.collective": collective,
    }
    modules["ray.train"].get_context = lambda: context
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return context


@pytest.fixture
def job(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    return {
        "recipe": RECIPE, "data": "data", "out": "out", "store": str(store), "resume": False,
        "checkpoint_minutes": 5.0, "csv": False, "tensorboard": False,
    }  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """What `isozoo.training.train` was called with; it raises what is put into `ends_with`."""
    calls = types.SimpleNamespace(made=[], ends_with=None)

    def train(recipe, data, out, **options):
        calls.made.append((recipe.read_text(), data, out, options))
        if calls.ends_with:
            raise calls.ends_with
        return types.SimpleNamespace(metrics={"top1": 0.5}, directory="out/small")

    monkeypatch.setattr(loop, "train", train)
    return calls


def test_a_worker_trains_as_the_job_says(ray_train, job, trained, tmp_path):
    assert train_worker(job) == {"metrics": {"top1": 0.5}, "directory": "out/small"}
    ((recipe, data, out, options),) = trained.made
    assert (recipe, data, out) == (RECIPE, "data", "out")
    assert options == {
        "resume": False, "strategy": "multiworker", "checkpoint_minutes": 5.0,
        "csv": False, "tensorboard": False,
    }  # fmt: skip
    assert len(read_starts(tmp_path / "store")) == 1


def test_a_worker_that_is_started_again_resumes(ray_train, job, trained, tmp_path):
    trained.ends_with = CheckpointError("the disk is full")
    with pytest.raises(CheckpointError):
        train_worker(job)
    trained.ends_with = None
    train_worker(job)
    assert [options["resume"] for *_, options in trained.made] == [False, True]
    assert not (tmp_path / "store" / FAULT).exists()


def test_a_mistake_is_told_at_the_next_start(ray_train, job, trained, tmp_path):
    trained.ends_with = RecipeError("the recipe is wrong")
    with pytest.raises(RecipeError):
        train_worker(job)
    assert train_worker(job) == {"fault": "the recipe is wrong"}
    assert len(trained.made) == 1
    lines = (tmp_path / "store" / STARTS).read_text().splitlines()
    assert [list(json.loads(line)) for line in lines] == [["time"], ["time"]]


def test_what_another_worker_than_the_chief_says_is_not_for_good(
    ray_train, job, trained, tmp_path, monkeypatch
):
    collective = sys.modules["ray.train.collective"]
    monkeypatch.setattr(collective, "broadcast_from_rank_zero", lambda value: (1, False))
    ray_train.get_world_rank = lambda: 1
    trained.ends_with = IsozooError("worker 0 stopped: CheckpointError: cannot write")
    with pytest.raises(IsozooError, match="worker 0 stopped"):
        train_worker(job)
    assert not (tmp_path / "store" / FAULT).exists()


def test_a_job_is_plain_data(job):
    assert json.loads(json.dumps(job)) == job
    assert Job(**job).recipe == RECIPE
