"""Suites: what they may say, and how goals are judged."""

import json
import tomllib

import pytest

from isozoo.benchmark import suite as room
from isozoo.benchmark import turns
from isozoo.benchmark.comparison import Comparison
from isozoo.benchmark.goals import Goal
from isozoo.benchmark.machine import machine
from isozoo.benchmark.results import Ratio, Result
from isozoo.benchmark.suite import Suite, run_suite
from isozoo.errors import BenchmarkError, UnknownNameError

MIB = 2**20


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(turns, "PAUSE", 0.0)


@pytest.fixture
def suite(rival):
    """A suite of two rows, the second of two measures."""
    return {
        "title": "both",
        "rows": [
            {
                "key": "one",
                "title": "First",
                "measure": "inference",
                "contenders": [
                    {"contender": rival("1"), "label": "slow"},
                    {"contender": rival("0.5"), "label": "fast"},
                    {"contender": rival("crash@0"), "label": "broken"},
                ],
                "against": ["slow"],
                "rounds": 2,
                "goals": [
                    {"title": "A", "subject": "fast", "rival": "slow", "at_least": 2.0},
                    {"title": "B", "subject": "fast", "rival": "slow", "at_least": 2.1},
                    {"title": "C", "subject": ["slow", "fast"], "rival": "slow", "at_least": 1.5},
                    {"title": "D", "subject": "broken", "rival": "slow", "at_least": 0.1},
                    {"title": "E", "subject": "fast", "rival": "slow"},
                ],
            },
            {
                "key": "two",
                "title": "Second",
                "measure": "training",
                "contenders": [
                    {"contender": rival("1"), "label": "step"},
                    {"contender": rival("1"), "label": "stream", "measure": "input", "data": "d"},
                ],
                "rounds": 1,
                "warm_up": 0,
                "settings": {"batch_size": 4},
            },
        ],
    }


def test_a_suite_is_run_judged_and_written_row_by_row(suite, command, tmp_path):
    out = tmp_path / "out.json"
    record = run_suite(Suite.from_dict(suite), out=out, command=command)
    assert json.loads(out.read_text()) == record
    first, second = record["rows"]
    assert [goal["met"] for goal in first["goals"]] == [True, False, True, False, None]
    assert first["goals"][0]["ratio"] == {"median": 2.0, "low": 2.0, "high": 2.0}
    assert (first["goals"][2]["subject"], first["goals"][3]["ratio"]) == ("fast", None)
    found = Comparison.from_json(second["comparison"])
    assert [(r.label, r.measure, r.items) for r in found.results] == [
        ("step", "training", 4),
        ("stream", "input", 4),
    ]
    assert record["machine"]["python"]


def test_rows_can_be_chosen_and_data_be_given(suite, command):
    record = run_suite(Suite.from_dict(suite), only=["two"], data="/x/pets", command=command)
    (row,) = record["rows"]
    assert (row["key"], row["comparison"]["settings"]["data"]) == ("two", "pets")


def test_goals_may_be_of_time_and_memory():
    small = Result("small", "training", "images/s", seconds=(1.0,), peak=1 * MIB)
    large = Result("large", "training", "images/s", seconds=(0.5,), peak=2 * MIB)
    found = Comparison("x", (small, large))
    for of, ratio, met in (("memory", 0.5, True), ("time", 2.0, False), ("speed", 0.5, True)):
        goal = Goal(title="x", subject="small", rival="large", of=of, at_most=1.0)
        verdict = goal.judge(found)
        assert (verdict.ratio, verdict.met) == (Ratio(ratio, ratio, ratio), met)


def test_of_several_the_smallest_counts_below_a_bound():
    results = [Result(n, "first", "s", seconds=(s,)) for n, s in (("a", 3.0), ("b", 2.0), ("c", 4))]
    goal = Goal(title="x", subject=("a", "b"), rival="c", of="time", at_most=1.0)
    verdict = goal.judge(Comparison("x", tuple(results)))
    assert (verdict.subject, verdict.to_json()["subjects"]) == ("b", ["a", "b"])


@pytest.fixture
def found():
    """Three at 1, 2 and 4 images/s, and one that failed."""
    results = [
        Result(n, "inference", "images/s", seconds=(s,))
        for n, s in zip("abc", (1, 0.5, 0.25), strict=True)
    ]
    return Comparison("x", (*results, Result("broken", "inference", "images/s", error="ended")))


@pytest.mark.parametrize(
    ("rival", "of", "counted", "ratio"),
    [(("a", "b"), "speed", "b", 2.0), (("b", "a"), "time", "b", 0.5), ("a", "speed", "a", 4.0)],
)
def test_of_several_rivals_the_fastest_counts(found, rival, of, counted, ratio):
    verdict = Goal(title="x", subject="c", rival=rival, of=of).judge(found)
    assert (verdict.rival, verdict.ratio, verdict.met) == (counted, Ratio(*[ratio] * 3), None)


def test_a_goal_names_the_subjects_that_failed(found):
    verdict = Goal(title="x", subject=("broken", "c"), rival="a", at_least=4).judge(found)
    assert (verdict.subject, verdict.met, verdict.failed) == ("c", True, ("broken",))
    assert verdict.to_json()["failed"] == ["broken"]


def test_a_goal_is_not_met_where_a_rival_failed(found):
    verdict = Goal(title="x", subject="c", rival=("a", "broken"), at_least=4).judge(found)
    assert (verdict.rival, verdict.met, verdict.failed) == ("a", False, ("broken",))
    assert verdict.ratio == Ratio(4, 4, 4)


def test_a_row_that_is_measured_again_keeps_the_others(suite, command, tmp_path):
    out = tmp_path / "out.json"
    whole = run_suite(Suite.from_dict(suite), out=out, command=command)
    suite["rows"][1]["rounds"] = 2
    again = run_suite(Suite.from_dict(suite), only=["two"], out=out, command=command)
    assert [row["comparison"]["rounds"] for row in again["rows"]] == [2]
    assert json.loads(out.read_text())["rows"] == [whole["rows"][0], *again["rows"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is there and is no result of a suite"),
        ("{", "is there and is no result of a suite"),
        ('{"title": "other", "rows": [], "machine": %s}', "has results of 'other' on .*, beside"),
        ('{"title": "both", "rows": [], "machine": {}}', "is there and is no result of a suite"),
    ],
)
def test_a_row_is_not_put_into_another_file(suite, tmp_path, content, message):
    out = tmp_path / "out.json"
    out.write_text(content.replace("%s", json.dumps(machine())))
    with pytest.raises(BenchmarkError, match=message):
        run_suite(Suite.from_dict(suite), only=["two"], out=out, command=("never started",))


def test_a_row_of_another_machine_is_not_put_beside(suite, command, tmp_path, monkeypatch):
    out = tmp_path / "out.json"
    run_suite(Suite.from_dict(suite), only=["two"], out=out, command=command)
    monkeypatch.setattr(room, "machine", lambda: {**machine(), "processor": "Abacus"})
    with pytest.raises(BenchmarkError, match="on Abacus have no place; choose another file"):
        run_suite(Suite.from_dict(suite), only=["two"], out=out, command=command)


def _change(suite, path, value):
    *parents, last = path
    for key in parents:
        suite = suite[key]
    suite[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["rows", 0, "speed"], 1, "unknown setting in row 'one' 'speed'"),
        (["rows", 0, "goals", 0, "at_lest"], 1, "setting in a goal of row 'one' 'at_lest'"),
        (["rows", 0, "goals", 0, "at_most"], 1, "goal 'A' has two bounds; give one"),
        (["rows", 0, "goals", 0, "rival"], [], "goal 'A' needs at least one subject and one rival"),
        (["rows", 0, "goals", 0, "rival"], ["slow", "slaw"], "contender of row 'one' 'slaw'"),
        (["rows", 0, "goals", 0, "of"], "beauty", "unknown quantity 'beauty'"),
        (["rows", 0, "goals", 0, "rival"], "slaw", "contender of row 'one' 'slaw'; did you mean"),
        (["rows", 0, "against"], ["fest"], "contender of row 'one' 'fest'; did you mean 'fast'"),
        (["rows", 0, "contenders", 1, "label"], "slow", "row 'one' names slow twice"),
        (["rows", 0, "contenders", 1, "size"], 3, "unknown setting in row 'one' 'size'"),
        (["rows", 0, "contenders", 1], {"label": "x"}, "row 'one' has a table without 'contender'"),
        (["rows", 1, "key"], "one", r"each with a key of its own; got \['one', 'one'\]"),
        (["rows"], [], r"a suite needs \[\[rows\]\]"),
        (["name"], "x", "unknown setting in suite 'name'"),
        (["rows", 1], {"key": "k"}, "row 'k' lacks title, measure, contenders"),
        (["rows", 1, "measure"], "speed", "unknown measure 'speed'"),
    ],
)
def test_mistakes_are_named_before_anything_is_measured(suite, path, value, message):
    _change(suite, path, value)
    with pytest.raises((BenchmarkError, UnknownNameError), match=message):
        run_suite(Suite.from_dict(suite), command=("never started",))


def test_an_unknown_row_is_named(suite):
    with pytest.raises(UnknownNameError, match="unknown row 'three'; "):
        run_suite(Suite.from_dict(suite), only=["three"])


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "s.toml").write_text("rows = [")
    with pytest.raises(BenchmarkError, match=r"s\.toml is not valid TOML"):
        Suite.read(tmp_path / "s.toml")


@pytest.mark.parametrize("name", ["suite", "quick"])
def test_the_projects_own_suites_can_be_read(root, monkeypatch, name):
    monkeypatch.chdir(root)
    suite = Suite.read(f"benchmarks/{name}.toml")
    assert tomllib.loads((root / f"benchmarks/{name}.toml").read_text())["title"] == suite.title
    for row in suite.rows:
        assert [task.label for task in row.tasks({"data": "pictures"})] == row.labels


def test_the_small_suite_has_every_measure_and_kind_of_contender_of_the_large(root, monkeypatch):
    monkeypatch.chdir(root)

    def kinds(name):
        tasks = [
            task
            for row in Suite.read(f"benchmarks/{name}.toml").rows
            for task in row.tasks({"data": "pictures"})
        ]
        return {
            (task.measure, task.contender.source, variant)
            for task in tasks
            for variant in (*task.contender.variants, task.contender.name.partition("@")[2])
        }

    assert kinds("suite") <= kinds("quick")


@pytest.mark.parametrize("memory_format", ["", "@channels_last"])
def test_goals_against_pytorch_are_against_both_memory_formats(root, memory_format):
    goals = [
        (row, goal)
        for row in Suite.read(root / "benchmarks/suite.toml").rows
        if row.measure != "penalty"  # which has no images
        for goal in row.goals
        if any("pytorch" in rival for rival in goal.rivals)
    ]
    assert len(goals) == 4
    for row, goal in goals:
        rival = f"benchmarks/pytorch.py:{row.key.partition('-')[2]}{memory_format}"
        assert rival in goal.rivals
        assert rival in row.against
