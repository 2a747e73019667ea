"""The contenders that train on several devices take part in a comparison."""

import os

import pytest

from isozoo.benchmark import Settings, compare

FILE = "benchmarks/scaling.py:r-isonet-8"


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_groups_of_one_and_two(root, monkeypatch):
    monkeypatch.chdir(root)
    groups = [f"{FILE}@{group}" for group in ("alone", "mirrored", "multiworker")]
    settings = Settings(batch_size=4, image_size=16)
    found = compare("training", groups, (), settings=settings, rounds=1, warm_up=0)
    assert [result.error for result in found.results] == [None, None, None]
    assert all(result.items == 4 and result.median for result in found.results)
