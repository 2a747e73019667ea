"""From a name to a network, and what is said where there is no way."""

import logging
import shutil

import numpy as np
import pytest

import isozoo
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.models.variables import named_values
from isozoo.zoo import locating
from tests.zoo.conftest import small_network

IMAGES = np.linspace(-1, 1, 2 * 32 * 32 * 3, dtype="float32").reshape(2, 32, 32, 3)


@pytest.fixture(scope="module")
def expected():
    return named_values(small_network())


def assert_same(model, values, names=None):
    found = named_values(model)
    for name in names or values:
        np.testing.assert_array_equal(found[name], values[name])


# Names and places


def test_weights_are_loaded_by_their_name(zoo, expected):
    model = isozoo.load("r-isonet-8.pets")
    assert_same(model, expected)
    assert model.labels == ("cat", "dog", "owl")
    assert model.load_report.source == str(zoo / "r-isonet-8.pets")
    assert model.load_report.fresh == ()


def test_a_network_is_loaded_with_its_default_weights(zoo):
    assert isozoo.load("r-isonet-8").load_report.source.endswith("r-isonet-8.imagenette")


def test_bundled_weights_come_first(zoo):
    bundled = locating.PLACES[0] / "r-isonet-8.pets"
    shutil.copytree(zoo / "r-isonet-8.pets", bundled)
    assert isozoo.load("r-isonet-8.pets").load_report.source == str(bundled)


def test_a_folder_is_loaded_by_its_path(zoo, expected, monkeypatch):
    for path in (zoo / "r-isonet-8.pets", str(zoo / "r-isonet-8.pets")):
        assert_same(isozoo.load(path), expected)
    monkeypatch.chdir(zoo)
    assert_same(isozoo.load("./r-isonet-8.pets"), expected)


def test_a_plain_word_is_a_folder_if_it_is_no_network(zoo, tmp_path, expected, monkeypatch):
    shutil.copytree(zoo / "r-isonet-8.pets", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert_same(isozoo.load("mine"), expected)


def test_a_folder_does_not_hide_the_network_of_its_name(zoo, tmp_path, monkeypatch):
    (tmp_path / "r-isonet-8").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isozoo.load("r-isonet-8").load_report.source.startswith(str(zoo))


@pytest.mark.parametrize(
    ("name", "error"), [("r-isonet-8.t", UnknownNameError), ("isonet-101", WeightsError)]
)
def test_a_folder_named_like_weights_that_do_not_exist_is_pointed_at(
    zoo, tmp_path, expected, monkeypatch, name, error
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(error) as nothing:
        isozoo.load(name)
    assert "./" not in str(nothing.value)
    shutil.copytree(zoo / "r-isonet-8.pets", tmp_path / name, dirs_exist_ok=True)
    with pytest.raises(error, match=f"weights folder of that name here: write './{name}' for it"):
        isozoo.load(name)
    assert_same(isozoo.load(f"./{name}"), expected)


def test_catalogued_weights_must_be_those_of_the_catalog(zoo, tmp_path, monkeypatch):
    """A folder that is sound in itself is refused if it is not the one that was catalogued."""
    place = tmp_path / "changed"
    other = small_network(labels=("owl", "dog", "cat"))
    other.save_pretrained(place / "r-isonet-8.pets")
    assert isozoo.load(place / "r-isonet-8.pets").labels == ("owl", "dog", "cat")
    monkeypatch.setattr(locating, "PLACES", (place,))
    message = r"isozoo.json is truncated or changed: expected \d+ bytes, found \d+; fetch the"
    with pytest.raises(WeightsError, match=message):
        isozoo.load("r-isonet-8.pets")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("r-isonet-9", UnknownNameError, "unknown model 'r-isonet-9'; did you mean 'r-isonet-8"),
        ("r-isonet-8.cats", UnknownNameError, "unknown weights .* did you mean 'r-isonet-8.pets'"),
        ("./r-isonet-8", WeightsError, r"no weights folder at './r-isonet-8'.*list_models\("),
        (
            "isonet-101",
            WeightsError,
            r"'isonet-101' has no weights; weights exist for r-isonet-8.imagenette, r-isonet-8.p"
            r".*isozoo.create\('isonet-101'\) builds it untrained",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(zoo, name, error, message):
    with pytest.raises(error, match=message):
        isozoo.load(name)


def test_a_file_is_not_a_folder(zoo):
    with pytest.raises(WeightsError, match=r"task.weights.h5': it is a file; give the path of a"):
        isozoo.load(zoo / "r-isonet-8.pets" / "task.weights.h5")


def test_weights_that_are_not_on_this_machine_are_refused(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(locating, "PLACES", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(
        WeightsError,
        match=r"'r-isonet-8.pets' are not on this machine \(looked in .*a, .*; give .*, or build",
    ):
        isozoo.load("r-isonet-8.pets")


def test_options_reach_the_network(zoo):
    model = isozoo.load("r-isonet-8.pets", dtype="mixed_bfloat16", input_shape=(48, 48, 3))
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert model.input_shape == (None, 48, 48, 3)
    first = isozoo.load("r-isonet-8.pets", data_format="channels_first")
    assert first.data_format == "channels_first"
    with pytest.raises(ValueError, match="does not fit a network of 3 input channels"):
        isozoo.load("r-isonet-8.pets", input_shape=(48, 48, 4))


# New heads


@pytest.mark.parametrize("classes", [5, ["a", "b", "c", "d", "e"]])
def test_a_new_head_leaves_the_encoder_and_is_said(zoo, expected, classes, caplog):
    with caplog.at_level(logging.INFO, logger="isozoo"):
        model = isozoo.load("r-isonet-8.pets", classes=classes)
    assert model.output_shape == (None, 5)
    assert model.labels == (tuple("01234") if classes == 5 else tuple("abcde"))
    report = model.load_report
    assert report.fresh == ("head_fc/kernel", "head_fc/bias")
    assert set(report.assigned) == set(expected) - set(report.fresh)
    assert_same(model, expected, report.assigned)
    trained = isozoo.load("r-isonet-8.pets")
    np.testing.assert_array_equal(model.backbone(IMAGES), trained.backbone(IMAGES))
    assert model.preprocessing == trained.preprocessing
    assert "19 variables read, 2 fresh (head_fc/kernel, head_fc/bias): train them" in caplog.text


def test_a_new_head_is_new_even_with_as_many_classes(zoo, expected):
    model = isozoo.load("r-isonet-8.pets", classes=3)
    assert model.load_report.fresh == ("head_fc/kernel", "head_fc/bias")
    assert not np.array_equal(named_values(model)["head_fc/kernel"], expected["head_fc/kernel"])


def test_a_new_head_keeps_shape_dtype_and_format(zoo):
    model = isozoo.load(
        "r-isonet-8.pets", classes=2, dtype="mixed_bfloat16", input_shape=(64, 64, 3)
    )
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert model.input_shape == (None, 64, 64, 3)


def test_what_is_loaded_can_be_changed_all_at_once(zoo, expected, caplog):
    model = isozoo.load(
        "r-isonet-8.pets",
        classes=2,
        in_channels=1,
        dropout=0.25,
        dtype="mixed_bfloat16",
        input_shape=(24, 24, 1),
        freeze=["stem", "s1"],
    )
    assert model.output_shape == (None, 2)
    assert model.input_shape == (None, 24, 24, 1)
    assert (model.architecture.dropout, model.dtype_policy.name) == (0.25, "mixed_bfloat16")
    assert {v.path.split("_")[0].split("/")[-1] for v in model.trainable_variables} == {
        "s2",
        "s3",
        "head",
    }
    report = model.load_report
    assert report.adapted == ("stem_conv/kernel",)
    assert report.fresh == ("head_fc/kernel", "head_fc/bias")
    assert_same(model, expected, report.assigned)
    assert (
        "18 variables read, 1 adapted (stem_conv/kernel), 2 fresh (head_fc/kernel, head_fc/bias)"
        in caplog.text
    )
    assert len(model.classify(np.zeros((30, 40, 3), "uint8"))[0]) == 2


def test_an_adapted_first_kernel_is_said_without_set_up_of_logging(zoo, caplog):
    isozoo.load("r-isonet-8.pets", in_channels=4)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "20 variables read, 1 adapted (stem_conv/kernel), 0 fresh" in caplog.text


def test_a_frozen_and_adapted_encoder(zoo, expected):
    backbone = isozoo.load_backbone("r-isonet-8.pets", in_channels=6, freeze="backbone")
    assert backbone.input_shape == (None, None, None, 6)
    assert backbone.trainable_variables == []
    colours = np.concatenate([IMAGES, IMAGES], axis=-1)
    found = np.asarray(backbone(colours))
    trained = np.asarray(isozoo.load_backbone("r-isonet-8.pets")(IMAGES))
    np.testing.assert_allclose(found, trained, rtol=1e-4, atol=1e-5)


def test_a_folder_says_nothing_of_frozen_layers(zoo, tmp_path):
    model = isozoo.load("r-isonet-8.pets", freeze="backbone", in_channels=1)
    model.save_pretrained(tmp_path / "mine")
    assert "frozen" not in (tmp_path / "mine" / "config.json").read_text()
    again = isozoo.load(tmp_path / "mine")
    assert all(layer.trainable for layer in again.backbone.layers)
    assert again.preprocessing == model.preprocessing
    grey = np.zeros((20, 20), "uint8")
    assert again.classify(grey) == model.classify(grey)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": "stage1"}, "unknown stage 'stage1'; did you mean"),
        ({"dtype": "bfloat61"}, "unknown dtype 'bfloat61'; did you mean 'bfloat16'"),
        ({"in_channels": 1, "input_shape": (32, 32, 3)}, "does not fit a network of 1 input"),
    ],
)
def test_changes_that_cannot_be_are_refused(zoo, options, message):
    with pytest.raises(ValueError, match=message):
        isozoo.load("r-isonet-8.pets", **options)


def test_the_hubs_options_reach_the_search(zoo, monkeypatch):
    asked = []

    def locate(name, **options):
        asked.append((name, options))
        return locating.Located(zoo / "r-isonet-8.pets")

    monkeypatch.setattr("isozoo.zoo.loading.locate", locate)
    options = {"revision": "v1", "cache_dir": "c", "token": False, "local_files_only": True}
    isozoo.load("me/pets", **options)
    isozoo.load_backbone("me/pets", **options)
    assert asked == [("me/pets", options)] * 2


@pytest.mark.parametrize(("text", "meant"), [("37", r"write 37"), ("cat", r"write \['cat'\]")])
def test_a_text_is_not_a_list_of_labels(zoo, text, meant):
    with pytest.raises(ValueError, match=rf"a number or a list of labels, got .*{text}.*{meant}$"):
        isozoo.load("r-isonet-8.pets", classes=text)


def test_a_head_without_classes_is_refused(zoo):
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        isozoo.load("r-isonet-8.pets", classes=0)


def test_what_was_loaded_is_logged(zoo, caplog):
    with caplog.at_level(logging.INFO, logger="isozoo"):
        isozoo.load("r-isonet-8.pets")
    assert "r-isonet-8.pets: 21 variables read, 0 fresh" in caplog.text


# Backbones and untrained networks


def test_a_backbone_is_the_encoder_with_its_pyramid(zoo):
    backbone = isozoo.load_backbone("r-isonet-8.pets")
    assert isinstance(backbone, isozoo.Backbone)
    assert list(backbone.pyramid_outputs) == ["P0", "P1", "P2"]
    np.testing.assert_array_equal(backbone(IMAGES), isozoo.load("r-isonet-8.pets").backbone(IMAGES))


def test_an_untrained_network_is_as_asked():
    model = isozoo.create(
        "isonet-8",
        classes=7,
        dropout=0.5,
        input_shape=(40, 40, 3),
        dtype="mixed_bfloat16",
        data_format="channels_last",
    )
    assert model.output_shape == (None, 7)
    assert model.input_shape == (None, 40, 40, 3)
    assert model.architecture.dropout == 0.5
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert isozoo.create("r-isonet-8").architecture == isozoo.architecture("r-isonet-8")
    assert isozoo.create("isonet-8", labels="abc").labels == ("a", "b", "c")
    named = isozoo.create("isonet-8", ["cat", "dog"])
    assert (named.labels, named.output_shape) == (("cat", "dog"), (None, 2))
    assert isozoo.create("isonet-8", 2, labels=["cat", "dog"]).labels == named.labels
    assert isozoo.create("isonet-8", dropout=0.0).architecture.dropout == 0.0
    grey = isozoo.create("isonet-8", classes=2, in_channels=1)
    assert grey.input_shape == (None, None, None, 1)
    assert len(grey.classify(np.zeros((9, 9, 3), "uint8"))[0]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "isonet-81"}, "no architecture has depth 81; ImageNet stems come in"),
        ({"name": "risonet-18"}, "unknown architecture 'risonet-18'; did you mean 'r-isonet-18'"),
        ({"name": "isonet-18.imagenet"}, "unknown architecture .* did you mean 'isonet-18'"),
        ({"name": "isonet-8", "classes": 3, "labels": ["a"]}, "1 labels were given for 3 classes"),
        (
            {"name": "isonet-8", "classes": ["a"], "labels": ["a"]},
            "classes and labels both give the names of the classes; give one",
        ),
        ({"name": "isonet-8", "classes": "cat"}, r"got the text 'cat'; write \['cat'\]"),
        ({"name": "isonet-8", "classes": ["a", "a"]}, "labels must be distinct, got 'a' more"),
        ({"name": "isonet-8", "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"name": "isonet-8", "input_shape": (32, 32, 1)}, "does not fit a network of 3 input"),
        ({"name": "isonet-8", "in_channels": 0}, "channels must be at least 1, got 0"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        isozoo.create(**arguments)
