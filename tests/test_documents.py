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


TIMED = {
    "machine": {
        "processor": "Abacus", "cores": 2, "system": "Linux", "python": "3.11", "keras": "3",
        "backend": "tensorflow",
    },
    "dtype": "float32",
    "batch_size": 16,
    "warm_up": 2,
    "repeats": 9,
    "networks": [
        {"name": "r-isonet-50", "image_size": 224, "images_per_second": 9.5},
        {"name": "resnet-50", "image_size": 224, "images_per_second": 8.5},
    ],
}  # fmt: skip


def test_speeds_are_those_that_were_measured_with_the_images_of_the_row(
    tables, tmp_path, monkeypatch
):
    fits = next(row for row in tables.results() if row.name == "r-isonet-18-w32.imagenette")
    rows = [
        {"name": fits.name, "image_size": fits.image_size, "images_per_second": 99.5},
        {"name": "resnet-18-w32.imagenette", "image_size": 96, "images_per_second": 98.5},
    ]
    timed = TIMED | {"networks": TIMED["networks"] + rows}
    (tmp_path / "inference.json").write_text(json.dumps(timed))
    monkeypatch.setattr(tables, "SPEED", tmp_path / "inference.json")
    rows = {row.name: row for row in tables.results()}
    assert rows["r-isonet-18-w32.imagenette"].images_per_second == 99.5
    assert rows["resnet-18-w32.imagenette"].images_per_second is None, "another image size"
    assert rows["r-isonet-50.imagenet"].images_per_second == 9.5, "values do not change speed"
    assert rows["resnet-50"].images_per_second == 8.5
    assert (rows["resnet-50"].licence, rows["resnet-50"].bytes) == (None, None)
    assert "median of 9 rounds after 2 to warm up, on 2 cores of Abacus" in tables.machine()


def test_without_measured_speeds_the_table_says_so(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "SPEED", tmp_path / "inference.json")
    assert {row.images_per_second for row in tables.results()} == {None}
    assert tables.machine() == "Images per second were not measured yet.\n"


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
