"""isozoo cluster: what it passes on, what it reports, and its words without Ray."""

import importlib.util
import json
from pathlib import Path

import pytest

import isozoo
from isozoo.cluster import ClusterRun, Workers

COMMAND = ("cluster", "small.toml", "--data", "d", "--workers", "2")
DEFAULTS = {
    "resume": False, "workers": Workers(2), "address": None, "max_failures": 3,
    "start_minutes": 10.0, "checkpoint_minutes": 10.0, "csv": False, "tensorboard": False,
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    made = []
    run = ClusterRun(Path("o/small"), [], {"top1": 0.5, "images": 10}, [1.0, 65.5])
    monkeypatch.setattr(
        isozoo.cluster, "train", lambda *args, **options: made.append((args, options)) or run,
        raising=False,
    )  # fmt: skip
    return made


def test_the_defaults(isozoo_command, calls):
    found = isozoo_command(*COMMAND)
    assert found.code == 0
    assert found.out == "top1: 50.00 %\nimages: 10\nweights: o/small\n"
    assert found.err == "isozoo: workers were lost; they were started 2 times in all\n"
    assert calls == [((Path("small.toml"), Path("d"), Path("runs")), DEFAULTS)]


def test_arguments_are_passed_on(isozoo_command, calls):
    more = "--gpus-per-worker 8 --cpus-per-worker 32 --placement apart --address auto"
    limits = "--max-failures 0 --start-minutes 1.5"
    isozoo_command(*COMMAND, "--resume", *more.split(), *limits.split())
    ((_, options),) = calls
    assert options == DEFAULTS | {
        "resume": True, "workers": Workers(2, cpus=32, gpus=8, placement="apart"),
        "address": "auto", "max_failures": 0, "start_minutes": 1.5,
    }  # fmt: skip


def test_json(isozoo_command, calls):
    found = json.loads(isozoo_command(*COMMAND, "--json").out)
    metrics = {"top1": 0.5, "images": 10}
    assert found == {"metrics": metrics, "weights": "o/small", "starts": [1.0, 65.5]}


@pytest.mark.parametrize("count", ["0", "two"])
def test_workers_are_at_least_one(isozoo_command, calls, count):
    found = isozoo_command("cluster", "small.toml", "--data", "d", "--workers", count)
    assert found.code == 2
    assert "--workers" in found.err
    assert not calls


@pytest.mark.parametrize("option", ["--gpus-per-worker", "--max-failures"])
def test_numbers_that_are_not_below_zero(isozoo_command, calls, option):
    found = isozoo_command(*COMMAND, option, "-1")
    assert found.code == 2
    assert f"{option}: must be at least 0, got -1" in found.err
    assert not calls


def test_without_ray(isozoo_command, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = "isozoo: a cluster needs Ray: python -m pip install 'isozoo[cluster]'\n"
    assert isozoo_command(*COMMAND) == (2, "", said)
