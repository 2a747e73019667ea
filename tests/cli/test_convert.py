"""isozoo convert: what it passes on and how it reports."""

import json
import types
from pathlib import Path

import pytest

import isozoo
from isozoo.errors import MissingExtraError
from isozoo.files import FileRecord
from isozoo.zoo.catalog import Release
from isozoo.zoo.convert import Conversion

RELEASE = Release("https://github.com/HaozhiQi/ISONet", "abc", 0.4)
LABELS = ("tench", "goldfish", "great white shark", "tiger shark", "hammerhead")


@pytest.fixture
def calls(monkeypatch):
    made = []
    manifest = types.SimpleNamespace(
        full_name="r-isonet-50.imagenet", parameters=25_526_648, labels=LABELS, licence="MIT"
    )
    done = Conversion(
        Path("store/here"), manifest, Path("a.pt"), FileRecord(1_000_000, "ab" * 32), RELEASE
    )

    def convert_checkpoint(*arguments, **options):
        made.append((arguments, options))
        return done

    monkeypatch.setattr(isozoo.zoo, "convert_checkpoint", convert_checkpoint, raising=False)
    return made


def test_a_name_is_passed_on_and_what_was_done_is_told(isozoo_command, calls):
    found = isozoo_command("convert", "r-isonet-50.imagenet")
    nothing = {"tag": None, "out": None, "labels": None}
    assert calls == [(("r-isonet-50.imagenet", None), nothing)]
    assert found.code == 0
    assert [line.split(maxsplit=1)[0] for line in found.out.splitlines()] == [
        "NAME", "read", "released", "size", "sha256", "parameters", "classes", "licence", "written",
    ]  # fmt: skip
    told = {line[:14].strip(): line[14:].strip() for line in found.out.splitlines()}
    assert told["sha256"] == "ab" * 32
    assert told["classes"] == "5: tench, goldfish, great white shark, tiger shark, ..."
    assert told["written"] == str(Path("store/here"))


def test_it_is_said_that_nobody_vouches_for_the_hash(isozoo_command, calls):
    assert (
        "its sha256 is what was found, not what was checked"
        in isozoo_command("convert", "r-isonet-50.imagenet").err
    )


def test_every_option_is_passed_on(isozoo_command, calls, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    options = ("--model", "isonet-18", "--tag", "pets", "--out", "here", "--labels", labels)
    isozoo_command("convert", "best.pt", *options)
    expected = {"tag": "pets", "out": Path("here"), "labels": ("cat", "dog")}
    assert calls == [(("best.pt", "isonet-18"), expected)]


def test_as_json(isozoo_command, calls):
    assert json.loads(
        isozoo_command("convert", "a.pt", "--model", "r-isonet-50", "--json").out
    ) == {
        "name": "r-isonet-50.imagenet",
        "folder": str(Path("store/here")),
        "parameters": 25_526_648,
        "classes": 5,
        "checkpoint": "a.pt",
        "size": 1_000_000,
        "sha256": "ab" * 32,
        "source": "https://github.com/HaozhiQi/ISONet",
    }


def test_a_missing_extra_is_one_line(isozoo_command, monkeypatch):
    def convert_checkpoint(*arguments, **options):
        raise MissingExtraError("needs torch; pip install 'isozoo[convert]'")

    monkeypatch.setattr(isozoo.zoo, "convert_checkpoint", convert_checkpoint, raising=False)
    found = isozoo_command("convert", "r-isonet-50.imagenet")
    assert found == (2, "", "isozoo: needs torch; pip install 'isozoo[convert]'\n")


def test_a_labels_file_that_is_not_there_is_one_line(isozoo_command, calls):
    found = isozoo_command("convert", "a.pt", "--model", "isonet-18", "--labels", "nowhere.txt")
    assert found == (2, "", "isozoo: No such file or directory: nowhere.txt\n")
