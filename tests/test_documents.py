"""The documents: their numbers are fresh and their commands are what they promise.

Their Python blocks are run by the collector in the repository's conftest.py.
"""

import csv
import json
import re
import shutil
import sys

import pytest

import isozoo
from isozoo.benchmark import Comparison, Result, Suite


@pytest.fixture
def tables(root, monkeypatch):
    """The module that fills the generated regions."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.delitem(sys.modules, "docs_tables", raising=False)
    import docs_tables

    return docs_tables


def test_everything_generated_is_fresh(tables):
    assert list(tables.stale()) == [], "run: python tools/docs_tables.py"


def test_every_region_is_used_somewhere(tables):
    text = "".join(path.read_text(encoding="utf-8") for path in tables.documents())
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == set(tables.REGIONS)


def test_a_region_is_replaced_and_the_rest_is_kept(tables, monkeypatch):
    monkeypatch.setitem(tables.REGIONS, "answer", lambda: "42\n")
    stale = "a\n<!-- generated: answer -->\n41\n<!-- /generated -->\nb\n"
    assert tables.filled(stale) == stale.replace("41", "42")


def test_a_card_that_says_something_else_is_stale(tables, root, tmp_path, monkeypatch):
    folders = tmp_path / "weights"
    shutil.copytree(root / "weights", folders, ignore=shutil.ignore_patterns("*.h5"))
    monkeypatch.setattr(tables, "WEIGHTS", folders)
    card = folders / "r-isonet-18-w32.imagenette" / "README.md"
    assert card not in tables.stale()
    card.write_text(card.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    assert card in tables.stale()
    card.unlink()
    assert card in tables.stale()


@pytest.fixture
def measured(tables, tmp_path, monkeypatch):
    """A function that lets the tables read a result of the suite with one row."""

    def write(results, key="models", goals=()):
        machine = {"processor": "Abacus", "cores": 2, "system": "Linux", "python": "3", "load": 0}
        found = Comparison(
            "A row", tuple(results), ("slow",), 9, 2, {"batch_size": 16}, machine
        ).to_json()
        row = {"key": key, "title": "A row", "date": "today", "comparison": found}
        row["goals"] = list(goals)
        file = tmp_path / "performance.json"
        file.write_text(json.dumps({"machine": machine, "rows": [row]}))
        monkeypatch.setattr(tables.performance_tables, "PERFORMANCE", file)

    return write


def result(label, speed=None, size=224, **more):
    """Return 16 images at a speed, or a failure."""
    seconds = (16 / speed,) if speed else ()
    about = {"items": 16, "image_size": size, "first": 1.0, "seconds": seconds, "peak": 2**30}
    about["device"] = "cpu"
    return Result(label, "inference", "images/s", **{**about, **more})


def test_speeds_are_those_that_were_measured_with_the_images_of_the_row(tables, measured):
    fits = next(row for row in tables.results() if row.name == "r-isonet-18-w32.imagenette")
    measured(
        [
            result("r-isonet-50", 9.5, versions={"keras": "3", "tensorflow": "2"}),
            result("resnet-50", 8.5),
            result("slow"),
            result(fits.name, 99.5, fits.image_size),
            result("resnet-18-w32.imagenette", 98.5, 96),
        ]
    )
    rows = {row.name: row for row in tables.results()}
    assert rows["r-isonet-18-w32.imagenette"].images_per_second == 99.5
    assert rows["resnet-18-w32.imagenette"].images_per_second is None, "another image size"
    assert rows["r-isonet-50.imagenet"].images_per_second == 9.5, "values do not change speed"
    assert rows["resnet-50"].images_per_second == 8.5
    assert (rows["resnet-50"].licence, rows["resnet-50"].bytes) == (None, None)
    sentence = tables.machine()
    assert "median of 9 rounds after 2 to warm up, on 2 cores of Abacus" in sentence
    assert "Keras 3 on TensorFlow 2" in sentence


def test_without_measured_speeds_the_tables_say_so(tables, tmp_path, monkeypatch):
    for name in ("PERFORMANCE", "PRECISION", "PROBE"):
        monkeypatch.setattr(tables.performance_tables, name, tmp_path / "absent.json")
    assert {row.images_per_second for row in tables.results()} == {None}
    assert tables.machine() == "Images per second were not measured yet.\n"
    texts = {make() for make in tables.performance_tables.REGIONS.values()}
    assert texts == {"Not measured yet.\n"}


def test_goals_stand_beside_what_was_measured(tables, measured):
    goal = {"of": "speed", "at_least": 2.0, "at_most": None, "subjects": ["fast"], "rival": "slow"}
    goal |= {"rivals": ["slow"], "failed": []}
    ratio = {"median": 2.5, "low": 2.25, "high": 3.0}
    measured(
        [result("fast", 40), result("slow", 16), result("broken", error="ended")],
        key="a-row",
        goals=[
            {**goal, "title": "A", "subject": "fast", "ratio": ratio, "met": True},
            {**goal, "title": "B", "subject": "fast", "ratio": ratio, "met": False}
            | {"subjects": ["fast", "other"], "rivals": ["slow", "lame"], "failed": ["other"]},
            {**goal, "title": "C", "subject": "x", "ratio": None, "met": None, "at_least": None},
        ],
    )
    assert tables.performance_tables.goals().splitlines()[2:] == [
        "| A (speed) | 2.50 | at least 2 | met | 2.25 to 3.00 |",
        "| B (speed), by `fast` against `slow`; `other` failed "
        "| 2.50 | at least 2 | **not met** | 2.25 to 3.00 |",
        "| C (speed) | failed |  | no goal |  |",
    ]
    text = tables.performance_tables.measurements()
    assert text.startswith("### A row\n\n| contender | images/s | range |")
    assert "| `fast` | 40 | 40 to 40 | 1 s | 1,024 MiB | 2.50 |\n" in text
    assert "| `broken` | failed |  |  |  |  |\n" in text
    assert (
        "Images of 224 px, batches of 16, median of 9 rounds after 2 to warm up, on the CPU."
        in text
    )
    assert text.endswith("![A row](assets/performance/a-row.png)\n")
    assert "on today on 2 cores of Abacus" in tables.performance_tables.measured_on()


def test_where_devices_differ_each_contender_has_its_own(tables, measured):
    measured([result("a", 40, device="gpu"), result("slow", 16), result("none", device=None)])
    text = tables.performance_tables.measurements()
    assert "after 2 to warm up; `a` on the GPU, `slow` on the CPU.\n" in text


def test_what_was_measured_is_what_the_suite_asks_for(tables):
    assert tables.performance_tables.disagreements() == []


def test_a_result_of_another_suite_is_refused(tables, tmp_path, monkeypatch, capsys):
    suite, room = tmp_path / "suite.toml", tables.performance_tables
    text = """
        title = "T"
        [[rows]]
        key = "k"
        title = "K"
        measure = "inference"
        contenders = ["fast", { contender = "x", label = "slow" }]
        goals = [{ title = "A", subject = "fast", rival = "slow", at_least = 2 }]
    """
    pair = (result("fast", 32), result("slow", 16))
    row = {"key": "k", "title": "K", "comparison": Comparison("K", pair).to_json()}
    suite.write_text(text)
    (goal,) = Suite.read(suite).rows[0].goals
    row["goals"] = [goal.judge(Comparison("K", pair)).to_json()]
    file = tmp_path / "performance.json"
    file.write_text(json.dumps({"machine": {}, "rows": [row]}))
    monkeypatch.setattr(room, "PERFORMANCE", file)
    monkeypatch.setattr(room, "SUITE", suite)
    assert room.disagreements() == []
    for old, new, sentence in (
        ("at_least = 2", "at_least = 1.5", "goals of row 'k' changed"),
        ('["fast", ', '["fast", "third", ', "contenders of row 'k' changed"),
        ('rival = "slow"', 'rival = ["slow", "third"]', "goals of row 'k' changed"),
        ('title = "K"', 'title = "K"\nrounds = 3', "rounds of row 'k' changed"),
        ('title = "K"', 'title = "K"\nagainst = ["slow"]', "against of row 'k' changed"),
        ('"k"', '"l"', "row 'k' is not in suite.toml, row 'l' of suite.toml was not measured"),
    ):
        suite.write_text(text.replace(old, new))
        assert ", ".join(room.disagreements()) == sentence
    monkeypatch.setattr(sys, "argv", ["docs_tables.py", "--check"])
    monkeypatch.setattr(tables, "stale", dict)
    assert tables.main() == 1
    assert "benchmarks: row 'k' is not in suite.toml" in capsys.readouterr().out


def test_what_precisions_cost_stands_beside_its_goal(tables, tmp_path, monkeypatch):
    row = {"weights": "net.tag", "variant": "int8", "top1": 0.885, "points": -0.25, "changed": 7}
    rows = [
        {**row, "at_most": 1.0, "met": True},
        {"weights": "net.tag", "variant": "x", "error": "no", "at_most": None, "met": None},
    ]
    (tmp_path / "p.json").write_text(json.dumps({"rows": rows, "images": 39, "calibration": 30}))
    monkeypatch.setattr(tables.performance_tables, "PRECISION", tmp_path / "p.json")
    assert tables.performance_tables.precisions().splitlines()[2:] == [
        "| `net.tag` | `int8` | 88.50 % | -0.25 | at most 1 lost | met | 7 |",
        "| `net.tag` | `x` | failed |  |  |  |  |",
        "",
        "Of 39 validation pictures; int8 is calibrated on 30 training pictures.",
    ]


def test_only_what_has_a_counterpart_is_said_to_communicate(tables, tmp_path, monkeypatch):
    speeds = {"one": 10, "alone": 20, "mirrored": 16, "multiworker": 15}
    results = tuple(result(f"net@{group}", speed) for group, speed in speeds.items())
    machine = {"processor": "Abacus", "system": "Linux"}
    found = Comparison("T", results, ("net@one", "net@alone"), 1, 0, {}, machine).to_json()
    rows = [{"title": "Net", "comparison": found}]
    (tmp_path / "scaling.json").write_text(json.dumps({"rows": rows}))
    monkeypatch.setattr(tables.scaling_tables, "RESULTS", tmp_path)
    assert tables.scaling_tables.scaling().splitlines()[2:5] == [
        "| Net | one process, one core | 10.0 | 1.00 |  |",
        "| Net | `mirrored`, two virtual devices | 16.0 | 1.60 |  |",
        "| Net | `multiworker`, two processes | 15.0 | 1.50 | 25 % |",
    ]


def test_the_results_are_the_catalogs(tables):
    rows = list(csv.DictReader(tables.results_csv().splitlines()))
    names = isozoo.list_models(pretrained=True)
    assert [row["name"] for row in rows][: len(names)] == names
    for row in rows[: len(names)]:
        record = isozoo.info(row["name"])
        assert int(row["parameters"]) == record.parameters
        for column, numbers in (
            ("top1_measured", record.metrics),
            ("top1_reported", record.reported),
        ):
            assert row[column] == str(numbers.get("top1", ""))


def test_costs_and_accuracies_say_which_images_they_are_of(tables):
    record = isozoo.info("r-isonet-18-w32")
    size = isozoo.load(record.name).preprocessing.size
    (row,) = [line for line in tables.weights_table().splitlines() if record.name in line]
    assert f"| {record.gflops:.3f} (224) | {100 * record.metrics['top1']:.2f} % ({size}) |" in row


def test_the_readme_names_every_command(root):
    from isozoo.cli.main import COMMANDS

    readme = (root / "README.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"The command line has the same: .*?;", readme, re.DOTALL)
    names = {command.__name__.rpartition(".")[2].removesuffix("ing") for command in COMMANDS}
    assert set(re.findall(r"`(?:isozoo )?(\w+)`", sentence)) == names


@pytest.mark.parametrize("name", ["predict", "test"])
def test_the_readme_has_each_command_on_one_line(root, name):
    readme = (root / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- command: {name} -->\n```\n(.*?)```", readme, re.DOTALL)
    assert block.count("\n") == 1
    assert block.startswith("python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt")


def test_every_relative_link_of_the_top_documents_leads_somewhere(root):
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (root / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)|src=\"([^\"]+)\"", text):
            assert (root / "".join(target)).exists(), f"{name} links to {target}"


def test_the_sample_prediction_is_what_the_bundled_weights_say(root):
    report = json.loads((root / "examples/golf-ball.json").read_text(encoding="utf-8"))
    (shown,) = report["images"]
    model = isozoo.load(report["model"])
    (found,) = model.classify(root / "examples/golf-ball.png", top=len(shown["predictions"]))
    assert found[0].label == "golf ball"
    assert [p["label"] for p in shown["predictions"]] == [p.label for p in found]
    assert [p["probability"] for p in shown["predictions"]] == pytest.approx(
        [p.probability for p in found], abs=1e-4
    )
