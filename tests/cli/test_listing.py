"""isozoo list and isozoo info."""

import json

import isozoo
from isozoo.files import FileRecord
from isozoo.zoo.catalog import Record

WEIGHTS = Record(
    name="isonet-20.cifar10",
    architecture="isonet-20",
    tag="cifar10",
    parameters=270_000,
    gflops=0.041,
    metrics={"top1": 0.87654, "loss": 0.5},
    licence="MIT",
    recipe="weights/isonet-20.cifar10/recipe.toml",
    files={"isozoo.json": FileRecord(size=1234, sha256="ab" * 32)},
)


def fields(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_row_for_each_name(isozoo_command):
    found = isozoo_command("list", "resnet-[15]0*")
    head, *rows = fields(found.out)
    assert found.code == 0
    assert " ".join(head) == "NAME PARAMETERS GFLOPS WEIGHTS MEASURED TOP-1 REPORTED TOP-1"
    assert [row[0] for row in rows] == isozoo.list_models("resnet-[15]0*")
    assert ["resnet-50", "25,557,032"] in [row[:2] for row in rows]


def test_weights_show_their_accuracy(isozoo_command, monkeypatch):
    monkeypatch.setattr(isozoo, "list_models", lambda pattern, pretrained: ["isonet-20.cifar10"])
    monkeypatch.setattr(isozoo, "info", lambda name: WEIGHTS)
    found = isozoo_command("list", "--pretrained")
    assert fields(found.out)[1] == [
        "isonet-20.cifar10", "270,000", "0.041", "cifar10", "87.65", "%",
    ]  # fmt: skip


def test_as_json(isozoo_command):
    found = isozoo_command("list", "isonet-1?", "--json")
    rows = json.loads(found.out)
    assert [row["name"] for row in rows] == isozoo.list_models("isonet-1?")
    keys = {"name", "weights", "parameters", "gflops", "metrics", "reported"}
    assert rows[0].keys() == keys


def test_what_authors_report_stands_in_a_column_of_its_own(isozoo_command):
    head, row, _ = isozoo_command("list", "r-isonet-50", "--pretrained").out.splitlines()
    assert row.split()[:5] == ["r-isonet-50.imagenet", "25,526,648", "4.089", "imagenet", "76.18"]
    end_of_measured = head.index("MEASURED TOP-1") + len("MEASURED TOP-1")
    assert row.index("76.18") > end_of_measured
    rows = json.loads(isozoo_command("list", "r-isonet-50", "--json").out)
    assert (rows[0]["metrics"], rows[0]["reported"]) == ({}, {"top1": 0.7618})


def test_a_pattern_that_matches_nothing_is_said_and_is_code_1(isozoo_command):
    assert isozoo_command("list", "dense*") == (1, "", "isozoo: no name matches 'dense*'\n")


def test_info_shows_what_is_known_and_leaves_out_what_is_not(isozoo_command, monkeypatch):
    monkeypatch.setattr(isozoo, "info", lambda name: WEIGHTS)
    found = dict(line.split(maxsplit=1) for line in isozoo_command("info", "x").out.splitlines())
    assert found["NAME"].strip() == "isonet-20.cifar10"
    assert found["parameters"].strip() == "270,000"
    assert found["top1"].strip() == "87.65 %"
    assert found["isozoo.json"].strip() == f"1,234 bytes  sha256 {'ab' * 32}"
    assert "repository" not in found


def test_info_tells_what_authors_report_and_where_their_checkpoint_is(
    isozoo_command, tmp_path, monkeypatch
):
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path))
    out = isozoo_command("info", "r-isonet-50").out
    assert "reported top1   76.18 %, by its authors" in out
    assert "\ntop1" not in out
    assert "https://drive.google.com/file/d/19KIBwTQs6kxu9kYAX5b3pTyaIkpsUMzl/view" in out
    assert "no: isozoo convert r-isonet-50.imagenet" in out
    folder = tmp_path / "weights" / "r-isonet-50.imagenet"
    folder.mkdir(parents=True)
    (folder / "isozoo.json").touch()
    assert f"converted       {folder}" in isozoo_command("info", "r-isonet-50").out


def test_info_of_a_network_without_weights_says_so(isozoo_command):
    assert "none: isozoo.create() builds it untrained" in isozoo_command("info", "resnet-101").out


def test_info_as_json(isozoo_command, monkeypatch):
    monkeypatch.setattr(isozoo, "info", lambda name: WEIGHTS)
    found = json.loads(isozoo_command("info", "x", "--json").out)
    assert found["metrics"] == {"top1": 0.87654, "loss": 0.5}
    assert found["files"]["isozoo.json"]["size"] == 1234
