"""What a weights folder holds, and what writing one replaces."""

import errno
import json

import keras
import numpy as np
import pytest
from PIL import Image

from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import (
    CARD,
    CONFIG,
    CURVE,
    ENCODER,
    HEAD,
    LOG,
    MANIFEST,
    METADATA,
    OPTIONAL,
    RECIPE,
    REQUIRED,
    Manifest,
    read_manifest,
)
from isozoo.models.variables import named_values
from tests.models.conftest import assert_same, network

# What is written


def test_a_folder_holds_the_preset_and_what_describes_it(folder, model):
    assert {path.name for path in folder.iterdir()} == {*REQUIRED, *OPTIONAL, CARD, MANIFEST}
    assert (folder / RECIPE).read_text() == "epochs = 2\n"
    assert [json.loads(line)["loss"] for line in (folder / LOG).read_text().splitlines()] == [2, 1]
    assert "2 epochs. `recipe.toml` is exactly what was run" in (folder / CARD).read_text()
    with Image.open(folder / CURVE) as picture:
        assert picture.format == "PNG"
    config = json.loads((folder / CONFIG).read_text())
    assert config["registered_name"] == "isozoo>Backbone"
    # Other loaders take a file with these keys for their own.
    assert not {"architecture", "model_type", "compile_config"} & config.keys()
    assert json.loads((folder / METADATA).read_text())["keras_version"] == keras.__version__


def test_the_manifest_describes_the_network_and_every_other_file_but_the_card(folder, model):
    manifest = read_manifest(folder)
    assert manifest.full_name == "r-isonet-8.cats"
    assert manifest.architecture == model.architecture
    assert manifest.labels == ("cat", "dog", "owl")
    assert manifest.preprocessing == model.preprocessing
    assert manifest.metrics == {"top1": 0.75}
    assert manifest.licence == "MIT"
    assert manifest.dtype == "float32"
    assert manifest.input_shape == (None, None, 3)
    assert manifest.parameters == model.count_params()
    assert manifest.variables["s2_b1_proj/kernel"] == (1, 1, 16, 32)
    assert set(manifest.files) == {*REQUIRED, *OPTIONAL}
    for name, record in manifest.files.items():
        assert record == FileRecord.of(folder / name)


def test_a_manifest_survives_its_own_text(folder):
    manifest = read_manifest(folder)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert '"s2_b1_proj/kernel": [1, 1, 16, 32]' in manifest.to_json()


def test_the_same_model_is_written_as_the_same_bytes(model, tmp_path):
    first, second = (write_folder(model, tmp_path / name, tag="t") for name in "ab")
    assert first == second


def test_moving_statistics_are_not_counted_as_parameters(tmp_path):
    model = network("resnet-8")
    manifest = write_folder(model, tmp_path / "out")
    moving = sum(v.shape[0] for v in model.variables if v.name.startswith("moving_"))
    assert manifest.parameters == model.count_params() - moving
    assert "stem_bn/moving_variance" in manifest.variables


def test_a_compiled_model_leaves_no_trace_of_its_training(model, tmp_path):
    trained = network()
    trained.backbone.compile("sgd", "mse")
    first, second = write_folder(model, tmp_path / "a"), write_folder(trained, tmp_path / "b")
    assert first == second


# Replacing, and failing to


DESCRIPTION = {
    "tag": "dogs",
    "metrics": {"top1": 0.5},
    "licence": "MIT",
    "source": "the pet shop",
    "recipe": "epochs = 1\n",
    "log": [{"epoch": 1, "loss": 3.0}],
}


@pytest.mark.parametrize(
    ("option", "lost"),
    [(name, {"recipe": RECIPE, "log": LOG}.get(name, name)) for name in DESCRIPTION],
)
def test_a_trained_folder_is_not_replaced_by_one_that_says_less(folder, model, option, lost):
    write_folder(model, folder, **DESCRIPTION)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    given = {name: value for name, value in DESCRIPTION.items() if name != option}
    with pytest.raises(WeightsError, match=f"would lose their {lost}; give another directory"):
        write_folder(model, folder, **given)
    everything = f"tag, metrics, licence, source, {RECIPE}, {LOG}"
    with pytest.raises(WeightsError, match=f"lose their {everything}; give"):
        model.save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_says_nothing_of_its_training_is_replaced(model, tmp_path):
    network("isonet-8").save_pretrained(tmp_path / "out")
    model.save_pretrained(tmp_path / "out")
    assert_same(named_values(load_folder(tmp_path / "out")), named_values(model))


def test_a_damaged_folder_is_mended_by_writing_it_again(folder, model):
    (folder / MANIFEST).write_text("{")
    write_folder(model, folder, recipe="epochs = 2\n", log=DESCRIPTION["log"])
    assert_same(named_values(load_folder(folder)), named_values(model))


def test_the_tilde_is_the_home_folder_in_both_directions(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("~/out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert_same(named_values(Classifier.from_pretrained("~/out")), named_values(model))


def test_a_folder_is_replaced_by_the_new_one(folder):
    other = network("isonet-8")
    write_folder(other, folder, **DESCRIPTION)
    assert "# isonet-8.dogs\n" in (folder / CARD).read_text()
    assert_same(named_values(load_folder(folder)), named_values(other))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("place", ["encoder", "manifest"])
def test_a_full_disk_leaves_the_old_folder_and_no_rest(folder, model, monkeypatch, place):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fill(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = (Backbone, "save_weights") if place == "encoder" else (Manifest, "to_json")
    monkeypatch.setattr(*target, fill)
    with pytest.raises(OSError, match="No space left"):
        write_folder(network("isonet-8"), folder, **DESCRIPTION)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_folder_with_other_files_is_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("unsaved")
    with pytest.raises(WeightsError, match=r"it would replace thesis.tex.*choose another place"):
        write_folder(model, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "unsaved"


@pytest.mark.parametrize("names", [[CARD], [CONFIG, METADATA, ENCODER, HEAD]])
def test_a_folder_without_a_manifest_is_somebody_elses(model, tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("theirs")
    with pytest.raises(WeightsError, match=rf"it would replace {min(names)}.*choose another place"):
        model.save_pretrained(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "theirs"
    )


def test_a_file_is_not_replaced(model, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotADirectoryError, match="a file of that name exists"):
        write_folder(model, tmp_path / "out")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_not_written(bad, tmp_path):
    model = network()
    model.head.get_layer("head_fc").bias.assign([0.0, bad, 0.0])
    with pytest.raises(WeightsError, match=r"head_fc/bias has 1 of 3 values that are NaN or inf"):
        write_folder(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"metrics": {"top1": float("nan")}}, {"log": [{"loss": float("inf")}]}]
)
def test_numbers_that_json_cannot_say_are_not_written(model, tmp_path, options):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_folder(model, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []
