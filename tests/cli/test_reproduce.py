"""The command that runs the paper's tables."""

import json

from tests.experiments.conftest import TABLE


def test_without_a_table_all_are_listed(isozoo_command):
    result = isozoo_command("reproduce")
    assert result.code == 0
    assert "Accuracy against depth" in result.out
    listed = json.loads(isozoo_command("reproduce", "--json").out)
    assert {"depth", "ablation", "batch"} <= {table["name"] for table in listed}


def test_what_was_run_is_shown_beside_the_paper(isozoo_command, tmp_path):
    table = tmp_path / "tiny.toml"
    table.write_text(TABLE)
    folder = tmp_path / "out" / "tiny-small" / "isonet-8-seed0"
    folder.mkdir(parents=True)
    outcome = {
        "row": "isonet", "column": "8", "seed": 0, "model": "isonet-8-w8", "outcome": "finished",
        "epochs": 1, "seconds": 1.0, "top1": 0.625, "chance": 0.1,
    }  # fmt: skip
    (folder / "outcome.json").write_text(json.dumps(outcome))
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
    result = isozoo_command("reproduce", "dept")
    assert result.code == 2
    assert "did you mean 'depth'" in result.err
