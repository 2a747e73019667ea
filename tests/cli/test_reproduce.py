"""The command that runs the paper's tables."""

import dataclasses
import json

from isozoo.experiments import read_table
from isozoo.experiments.table import settings_hash
from tests.experiments.conftest import TABLE, result


def test_without_a_table_all_are_listed(isozoo_command):
    shown = isozoo_command("reproduce")
    assert shown.code == 0
    assert "Accuracy against depth" in shown.out
    listed = json.loads(isozoo_command("reproduce", "--json").out)
    assert {"depth", "ablation", "batch"} <= {table["name"] for table in listed}


def test_what_was_run_is_shown_beside_the_paper(isozoo_command, tmp_path):
    table = tmp_path / "tiny.toml"
    table.write_text(TABLE)
    (cell,) = read_table(str(table)).cells("small", rows=["isonet"])
    found = result("isonet", 0, 0.625, settings=settings_hash(cell.recipe(0)))
    folder = tmp_path / "out" / "tiny-small" / "isonet-8-w8.isonet-8-seed0"
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(json.dumps(dataclasses.asdict(found)))
    shown = isozoo_command("reproduce", table, "--collect", "--out", tmp_path / "out")
    assert shown.code == 0
    assert "ISONet   62.5 [70.0]" in shown.out
    assert (folder.parent / "results.png").is_file()
    found = isozoo_command("reproduce", table, "--collect", "--out", tmp_path / "out", "--json")
    assert json.loads(found.out)["runs"][0]["top1"] == 0.625


def test_recipes_can_be_trained_elsewhere(isozoo_command, tmp_path):
    from isozoo.training import Recipe

    table = tmp_path / "tiny.toml"
    table.write_text(TABLE)
    found = isozoo_command("reproduce", table, "--recipes", "--row", "isonet", "--out", tmp_path)
    recipes = [Recipe.read(path) for path in found.out.split()]
    assert [recipe.seed for recipe in recipes] == [0, 1]
    assert recipes[0].name == "isonet-8-w8.isonet-8-seed0"


def test_an_unknown_table_is_named(isozoo_command):
    shown = isozoo_command("reproduce", "dept")
    assert shown.code == 2
    assert "did you mean 'depth'" in shown.err


def test_the_study_is_listed_and_refuses_what_is_for_tables(isozoo_command, monkeypatch, tmp_path):
    assert "Batch normalisation and smoothness, a study" in isozoo_command("reproduce").out
    shown = isozoo_command("reproduce", "vgg", "--seeds", "2")
    assert shown.code == 2
    assert "--seeds means nothing to the study vgg; leave it out" in shown.err
    shown = isozoo_command("reproduce", "vgg", "--scale", "paper", "--out", tmp_path)
    assert shown.code == 2
    assert "unknown scale 'paper'; known: notebook, small" in shown.err
