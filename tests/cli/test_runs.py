"""isozoo runs: a table, JSON and a picture of the runs in a folder."""

import json

import pytest


@pytest.fixture
def folder(tmp_path):
    """A folder of two runs, one of which has not finished an epoch."""
    for name, count in (("r-isonet-8.a", 2), ("resnet-8.b", 0)):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        rows = [
            {"epoch": i + 1, "loss": 2.0 - i, "val_accuracy": 0.5, "penalty": 0.25, "seconds": 30.0}
            for i in range(count)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name / "log.jsonl").write_text(text)
    return tmp_path


def test_one_row_for_each_run(isozoo_command, folder):
    found = isozoo_command("runs", folder)
    assert (found.code, found.err) == (0, "")
    head, first, second = (line.split() for line in found.out.splitlines())
    assert head[:5] == ["RUN", "STATE", "EPOCH", "TOP-1", "BEST"]
    assert first == [
        "r-isonet-8.a",
        "unfinished",
        "2",
        "50.00",
        "%",
        "50.00",
        "%",
        "1",
        "0.25",
        "1.0",
    ]
    assert " ".join(second) == "resnet-8.b unfinished 0 0.0"


def test_json_has_all_numbers(isozoo_command, folder):
    found = isozoo_command("runs", folder, "--json")
    first, second = json.loads(found.out)
    assert (first["name"], first["loss"], first["epochs"]) == ("r-isonet-8.a", 1.0, None)
    assert second["loss"] is None


def test_a_picture_of_those_that_can_be_drawn(isozoo_command, folder, tmp_path):
    picture = tmp_path / "curves.png"
    found = isozoo_command("runs", folder, "--plot", picture)
    assert (found.code, found.err) == (0, f"isozoo: drew 1 of 2 runs to {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    (folder / "r-isonet-8.a" / "log.jsonl").unlink()
    found = isozoo_command("runs", folder, "--plot", picture)
    assert (found.code, "none of the runs has finished an epoch" in found.err) == (2, True)


def test_a_damaged_log_is_code_1_and_said(isozoo_command, folder):
    (folder / "resnet-8.b" / "log.jsonl").write_text("{")
    found = isozoo_command("runs", folder)
    assert found.code == 1
    assert "resnet-8.b" in found.out
    assert "log.jsonl, line 1: expected a JSON object" in found.err


def test_a_folder_without_runs_is_one_line(isozoo_command, tmp_path):
    found = isozoo_command("runs", tmp_path / "none")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"isozoo: no folder at {tmp_path / 'none'}")


def test_needs_no_keras(python, folder):
    done = python(
        *("-X", "importtime", "-c"),
        f"from isozoo.cli import main; main(['runs', {str(folder)!r}])",
    )
    assert done.returncode == 0, done.stderr
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert modules.isdisjoint({"keras", "tensorflow", "matplotlib"})
