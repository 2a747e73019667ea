"""What is said of weights: kept while it is true, dropped as soon as it may not be."""

import dataclasses
import shutil
import sys

import pytest

import isozoo
from isozoo.errors import WeightsError
from isozoo.models.adapting import adapt
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import CURVE, LOG, MANIFEST, RECIPE, read_manifest
from isozoo.models.provenance import log_text, read_log
from isozoo.models.variables import named_values
from tests.models.conftest import assert_same, bless, rewrite


def test_a_model_saved_as_it_was_loaded_is_the_same_folder(folder, tmp_path):
    rewrite(folder, lambda data: data.update(version="0.0.1"))
    load_folder(folder).save_pretrained(tmp_path / "again")
    first, second = read_manifest(folder), read_manifest(tmp_path / "again")
    assert second == dataclasses.replace(first, version=isozoo.__version__)
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (tmp_path / "again").iterdir()
    }
    for path in folder.iterdir():
        if path.name != MANIFEST:
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_line_ends_of_a_recipe_are_kept(folder, tmp_path):
    (folder / RECIPE).write_bytes(b"epochs = 2\r\n# caf\xc3\xa9\r\n")
    bless(folder, RECIPE)
    load_folder(folder).save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / RECIPE).read_bytes() == (folder / RECIPE).read_bytes()


def test_a_loaded_model_may_be_saved_where_it_is(folder, model):
    before = read_manifest(folder)
    load_folder(folder).save_pretrained(folder)
    assert read_manifest(folder) == before
    assert_same(named_values(load_folder(folder)), named_values(model))


def trained(model):
    model.head.get_layer("head_fc").bias.assign_add([0.0, 0.25, 0.0])
    return model


def relabelled(model):
    model.labels = ("a", "b", "c")
    return model


def prepared_differently(model):
    model.preprocessing = dataclasses.replace(model.preprocessing, size=24)
    return model


CHANGES = {
    "trained": lambda folder: trained(load_folder(folder)),
    "relabelled": lambda folder: relabelled(load_folder(folder)),
    "prepared differently": lambda folder: prepared_differently(load_folder(folder)),
    "another precision": lambda folder: adapt(load_folder(folder), dtype="mixed_bfloat16"),
    "rounded": lambda folder: adapt(load_folder(folder), dtype="float16"),
    "another dropout": lambda folder: isozoo.load(folder, dropout=0.25),
    "a new head": lambda folder: isozoo.load(folder, classes=3),
    "a copy": lambda folder: isozoo.Classifier.from_config(load_folder(folder).get_config()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_model_claims_nothing(change, folder, tmp_path):
    model = change(folder)
    manifest = write_folder(model, tmp_path / "out")
    assert (manifest.tag, manifest.licence, manifest.metrics) == (None, None, {})
    assert not {RECIPE, LOG, CURVE} & set(manifest.files)
    assert not {RECIPE, LOG, CURVE} & {path.name for path in (tmp_path / "out").iterdir()}
    everything = f"tag, metrics, licence, {RECIPE}, {LOG}"
    with pytest.raises(WeightsError, match=f"lose their {everything}; give"):
        model.save_pretrained(folder)


def test_another_shape_of_image_is_the_same_network(folder, tmp_path):
    model = adapt(load_folder(folder), input_shape=(32, 32, 3))
    manifest = write_folder(model, tmp_path / "out")
    assert (manifest.tag, manifest.input_shape) == ("cats", (32, 32, 3))


def test_what_is_said_anew_is_taken_and_the_rest_is_kept(folder, tmp_path):
    said = {"licence": "Apache-2.0", "metrics": {"top1": 0.5}, "source": "made of cats"}
    write_folder(load_folder(folder), tmp_path / "out", **said)
    found = load_folder(tmp_path / "out").provenance
    assert {key: getattr(found, key) for key in said} == said
    assert found.tag == "cats"
    assert (found.recipe, len(found.log)) == ("epochs = 2\n", 2)


def test_another_tag_takes_neither_the_numbers_nor_the_history(folder, tmp_path):
    write_folder(load_folder(folder), tmp_path / "cats", source="the pet shop")
    loaded = load_folder(tmp_path / "cats")
    manifest = write_folder(loaded, tmp_path / "dogs", tag="dogs")
    assert (manifest.tag, manifest.metrics) == ("dogs", {})
    assert (manifest.licence, manifest.source) == ("MIT", "the pet shop")
    assert not {RECIPE, LOG, CURVE} & {path.name for path in (tmp_path / "dogs").iterdir()}
    assert "Results" not in (tmp_path / "dogs" / "README.md").read_text()
    again = write_folder(loaded, tmp_path / "again", tag="cats")
    assert again.metrics == {"top1": 0.75}
    assert {RECIPE, LOG} <= set(again.files)


@pytest.mark.parametrize("name", [RECIPE, LOG])
def test_what_is_not_listed_or_not_there_is_not_said(folder, name, tmp_path):
    unlisted = shutil.copytree(folder, tmp_path / "unlisted")
    rewrite(unlisted, lambda data: data["files"].pop(name))
    (folder / name).unlink()
    for place in (unlisted, folder):
        found = load_folder(place).provenance
        assert not (found.recipe if name == RECIPE else found.log)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (RECIPE, b"\xff\xfe", r"recipe.toml is not text .*; fetch the file again, or remove it"),
        (LOG, b"\xff\xfe", r"log.jsonl is not text"),
        (LOG, b'{"epoch": 1}\n[]\n', r"line 2: expected a JSON object for an epoch, found '\[\]'"),
        (LOG, b"{\n", r"line 1: expected a JSON object for an epoch, found '{'; fetch the file"),
        (LOG, b"<html></html>", r"log.jsonl, line 1: .* found '<html></html>'"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused(folder, name, content, message):
    (folder / name).write_bytes(content)
    bless(folder, name)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


def test_a_log_survives_its_own_text(tmp_path):
    log = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "note": "\u2028"}]
    (tmp_path / LOG).write_text(log_text(log))
    assert read_log(tmp_path / LOG) == log


def test_without_matplotlib_there_is_no_picture(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    manifest = write_folder(load_folder(folder), tmp_path / "out")
    assert CURVE not in manifest.files
    assert "learning_curve" not in (tmp_path / "out" / "README.md").read_text()
