"""Turns, their arithmetic and their records, against workers that measure nothing."""

import json
import sys

import pytest

from isozoo.benchmark import comparison as room
from isozoo.benchmark import turns
from isozoo.benchmark.bars import plot
from isozoo.benchmark.comparison import Comparison, compare, run_tasks
from isozoo.benchmark.contenders import Contender
from isozoo.benchmark.measures import Settings, Task
from isozoo.benchmark.results import Ratio, Result, ratio_of
from isozoo.errors import BenchmarkError, MissingExtraError, UnknownNameError


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(turns, "PAUSE", 0.0)


@pytest.fixture
def measured(rival, command):
    """A fast contender and a slow rival."""
    fast, slow = rival("9,9,0.5,0.4,0.5"), rival("8,8,1.0,1.2,1.5")
    settings = Settings(batch_size=2, image_size=8)
    return compare(
        "inference", [fast], [slow], settings=settings, rounds=3, warm_up=1, command=command
    )


def test_medians_spread_and_ratios_are_those_of_the_rounds(measured):
    fast, slow = measured.results
    assert (fast.first, fast.seconds) == (9.0, (0.5, 0.4, 0.5))
    assert (fast.median, fast.range, fast.quartiles) == (4.0, (4.0, 5.0), (4.0, 4.5))
    assert (fast.items, fast.image_size) == (2, 8)
    assert fast.mebibytes == 100 + len("9,9,0.5,0.4,0.5")
    assert (fast.device, fast.versions["slide-rule"]) == ("cpu", "1")
    assert measured.ratio(fast.label, slow.label) == Ratio(3.0, 2.0, 3.0)
    assert measured.ratio(fast.label, slow.label, "time") == Ratio(0.333333, 0.333333, 0.5)
    assert measured.ratio(fast.label, slow.label, "memory") == Ratio(1.0, 1.0, 1.0)
    assert measured.failures == []


def test_items_are_counted_before_they_are_compared():
    many = Result("many", "input", "images/s", items=10, seconds=(1.0,))
    one = Result("one", "training", "images/s", items=1, seconds=(1.0,))
    found = Comparison("x", (many, one))
    assert found.ratio("many", "one") == Ratio(10.0, 10.0, 10.0)
    assert (many.median, many.quartiles) == (10.0, (10.0, 10.0))


def test_a_smaller_number_of_milliseconds_is_faster():
    fast, slow = (Result(name, "penalty", "ms", seconds=(s,)) for name, s in (("a", 1), ("b", 2)))
    assert Comparison("x", (fast, slow)).ratio("a", "b") == Ratio(2.0, 2.0, 2.0)
    assert fast.median == 1000


def test_the_record_is_read_back(measured):
    text = json.dumps(measured.to_json())
    again = Comparison.from_json(json.loads(text))
    assert again == measured
    record = json.loads(text)
    slow = measured.against[0]
    assert record["ratios"] == {
        slow: {measured.results[0].label: {"median": 3.0, "low": 2.0, "high": 3.0}}
    }
    assert record["settings"]["batch_size"] == 2
    assert {"processor", "cores", "threads", "python", "load"} <= record["machine"].keys()


def test_unknown_labels_and_quantities_are_named(measured):
    with pytest.raises(UnknownNameError, match="unknown contender 'nobody'"):
        measured.ratio("nobody", measured.against[0])
    with pytest.raises(UnknownNameError, match="unknown quantity 'beauty'; known: speed"):
        measured.ratio(*[result.label for result in measured.results], of="beauty")


@pytest.mark.parametrize("when", [0, 2])
def test_one_that_crashes_is_reported_and_the_others_go_on(rival, command, when):
    bad, good = rival(f"crash@{when}"), rival("0.5")
    found = compare("inference", [good], [bad], rounds=3, warm_up=1, command=command)
    (failure,) = found.failures
    assert failure.label == bad
    assert failure.error == "ended with code 1: Traceback | MemoryError: too much of it"
    assert (failure.seconds, failure.median, failure.range, failure.quartiles) == ((), *[None] * 3)
    assert found.result(good).seconds == (0.5, 0.5, 0.5)
    assert found.ratio(good, bad) is None
    assert found.to_json()["ratios"] == {bad: {good: None}}
    assert Comparison.from_json(found.to_json()) == found


def test_one_that_ends_without_a_word_is_reported(rival, command):
    found = compare("inference", [rival("nothing@0")], rounds=1, warm_up=0, command=command)
    assert found.failures[0].error == "ended with code 0: without a word"


def test_one_that_does_not_answer_is_ended(rival, command):
    task = Task("x", "inference", Contender.parse(rival("silence@0")))
    (found,) = turns.take_turns([task], 1, 0, command=command, patience=0.5)
    assert found.error == "no answer to 'repeat' in 0.5 s"


def test_nobody_always_follows_the_same(rival, command, monkeypatch):
    order = []
    monkeypatch.setattr(turns.Worker, "prepare", lambda self: {"items": 1, "image_size": 8})
    monkeypatch.setattr(turns.Worker, "repeat", lambda self: order.append(self.task.label) or 1.0)
    tasks = [Task(name, "inference", Contender.parse(rival("1"))) for name in "abc"]
    turns.take_turns(tasks, 3, 1, command=command)
    assert "".join(order) == "abc" + "cab" + "abc" + "bca" + "cab"


def test_every_step_is_ticked(rival, command):
    ticks = []
    task = Task("x", "inference", Contender.parse(rival("1")))
    turns.take_turns([task], 3, 1, command=command, tick=lambda: ticks.append(1))
    assert len(ticks) == turns.steps([task], 3, 1)


@pytest.mark.parametrize(("rounds", "warm_up"), [(0, 0), (1, -1)])
def test_rounds_that_are_none_are_refused(rounds, warm_up):
    with pytest.raises(BenchmarkError, match="rounds must be at least 1 and warm_up at least 0"):
        compare("inference", ["isonet-8"], rounds=rounds, warm_up=warm_up)


def test_nobody_to_time_is_refused():
    with pytest.raises(BenchmarkError, match="inference: nobody to time; name at least one"):
        compare("inference", [])


def test_what_is_told_in_other_units_is_not_compared(rival):
    tasks = [Task(m, m, Contender.parse(rival("1"))) for m in ("penalty", "first")]
    with pytest.raises(BenchmarkError, match="x: ms and s cannot be compared"):
        run_tasks("x", tasks)


def test_the_record_does_not_say_where_the_pictures_lie(rival, command):
    settings = Settings(data="/home/somebody/pictures")
    found = compare("input", [rival("1")], settings=settings, rounds=1, command=command)
    assert found.settings["data"] == "pictures"


def test_ratios_of_equal_numbers_are_equal():
    assert ratio_of([0.1, 0.2], [0.3, 0.6]) == Ratio(3.0, 3.0, 3.0)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_plot_is_written_and_is_the_same_each_time(measured, tmp_path, suffix):
    pytest.importorskip("matplotlib")
    failed = Result("broken", "inference", "images/s", error="ended")
    drawn = room.dataclasses.replace(measured, results=(*measured.results, failed))
    first = plot(drawn, tmp_path / f"a{suffix}").read_bytes()
    assert len(first) > 1000
    if suffix == ".png":
        assert plot(drawn, tmp_path / f"b{suffix}").read_bytes() == first


@pytest.mark.parametrize(("set_by_user", "expected"), [(None, "true"), ("false", "false")])
def test_workers_share_a_gpu_and_take_the_backend_that_was_asked_for(
    rival, command, monkeypatch, set_by_user, expected
):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    if set_by_user:
        monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", set_by_user)
    for backend, told in (("jax", "jax"), (None, "tensorflow")):
        settings = Settings(backend=backend)
        found = compare("inference", [rival("1")], settings=settings, rounds=1, command=command)
        versions = found.results[0].versions
        assert versions["KERAS_BACKEND"] == told
        assert versions["TF_FORCE_GPU_ALLOW_GROWTH"] == expected


def test_without_matplotlib_the_extra_is_named(measured, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isozoo\[train\]'"):
        plot(measured, tmp_path / "a.png")


def test_nothing_is_drawn_where_all_failed(tmp_path):
    pytest.importorskip("matplotlib")
    failed = Comparison("x", (Result("broken", "inference", "images/s", error="ended"),))
    with pytest.raises(BenchmarkError, match="x: all contenders failed"):
        plot(failed, tmp_path / "a.png")
