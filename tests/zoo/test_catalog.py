"""Names and records: what is listed, in what order, and what is said of a name nobody has."""

import dataclasses
import json

import pytest

import isozoo
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.files import FileRecord
from isozoo.models import architecture_names
from isozoo.models.folder import write_folder
from isozoo.zoo import catalog

# The catalog in the package


def test_the_catalog_in_the_package_is_fresh():
    assert catalog.CATALOG.read_text() == catalog.build_catalog()


def test_every_network_has_a_record():
    for name in isozoo.list_models():
        record = isozoo.info(name)
        assert record.architecture == name
        assert record.parameters > 0
        assert record.gflops > 0


def test_every_weights_have_a_record():
    for name in isozoo.list_models(pretrained=True):
        record = isozoo.info(name)
        assert record.name == name == f"{record.architecture}.{record.tag}"
        assert record.licence
        assert 0 < record.metrics["top1"] <= record.metrics["top5"] <= 1
        assert "isozoo.json" in record.files


# Listing


def test_all_networks_are_listed_once():
    names = isozoo.list_models()
    assert sorted(names) == sorted(architecture_names())


def test_numbers_in_names_are_compared_as_numbers():
    assert isozoo.list_models("isonet-*1*") == [
        "isonet-14", "isonet-14-w32", "isonet-18", "isonet-18-w32",
        "isonet-101", "isonet-101-w32", "isonet-110", "isonet-110-w32",
    ]  # fmt: skip


def test_a_pattern_is_a_shell_pattern():
    assert isozoo.list_models("vanilla*-18") == [
        "vanilla-18",
        "vanilla-bn-18",
        "vanilla-shortcut-18",
    ]
    assert isozoo.list_models("resnet-[gl]n-50") == ["resnet-gn-50", "resnet-ln-50"]
    assert isozoo.list_models("r-isonet-50") == ["r-isonet-50"]
    assert isozoo.list_models("R-ISONET-50") == []
    assert isozoo.list_models("isonet") == []


def test_weights_are_listed_with_their_tags(zoo):
    both = ["r-isonet-8.imagenette", "r-isonet-8.pets"]
    assert isozoo.list_models(pretrained=True) == both
    assert isozoo.list_models("*.pets", pretrained=True) == ["r-isonet-8.pets"]
    assert isozoo.list_models("r-isonet-8", pretrained=True) == both
    assert isozoo.list_models("resnet-*", pretrained=True) == []


# Records


def test_a_network_without_weights_has_its_size_and_nothing_else():
    record = isozoo.info("r-isonet-50")
    assert record.name == record.architecture == "r-isonet-50"
    assert record.parameters == 25_526_648
    assert (record.tag, record.licence, record.recipe, record.commit) == (None,) * 4
    assert record.metrics == {}
    assert record.files == {}


def test_weights_have_everything_their_folder_says(zoo):
    record = isozoo.info("r-isonet-8.pets")
    folder = zoo / "r-isonet-8.pets"
    assert (record.architecture, record.tag, record.licence) == ("r-isonet-8", "pets", "MIT")
    assert record.metrics == {"top1": 0.5, "top5": 1.0, "images": 20}
    assert record.recipe == "weights/r-isonet-8.pets/recipe.toml"
    assert record.gflops == catalog._sizes()["r-isonet-8"]["gflops"]
    assert record.parameters < catalog._sizes()["r-isonet-8"]["parameters"]  # 3 classes, not 1000
    assert record.files == {path.name: FileRecord.of(path) for path in folder.iterdir()}


def test_a_name_without_a_tag_is_its_best_known_tag(zoo):
    assert isozoo.info("r-isonet-8").tag == "imagenette"
    assert isozoo.info("r-isonet-14").tag is None


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        isozoo.info("r-isonet-50").parameters = 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("risonet-50", "unknown model 'risonet-50'; did you mean 'r-isonet-50'"),
        ("isonet-19", "unknown model 'isonet-19'; did you mean .*'isonet-1.'.*See isozoo.list_mod"),
        ("r-isonet-9.pets", "unknown model 'r-isonet-9.pets'; did you mean 'r-isonet-8.pets'"),
        ("xyz", "unknown model 'xyz'; known: .*See isozoo.list_models"),
        ("", "unknown model ''"),
        ("r-isonet-8.cats", "unknown weights 'r-isonet-8.cats'; did you mean 'r-isonet-8.pets'"),
        (
            "isonet-50.imagenet",
            r"unknown weights 'isonet-50.imagenet'; .*isozoo.create\('isonet-50'\) builds it",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(zoo, name, message):
    with pytest.raises(UnknownNameError, match=message):
        isozoo.info(name)


# Generation


def test_a_changed_file_is_not_catalogued(weights, tmp_path):
    folder = tmp_path / "weights" / "r-isonet-8.pets"
    folder.mkdir(parents=True)
    for path in (weights / "r-isonet-8.pets").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert len(json.loads(catalog.build_catalog(folder.parent))) == 1
    (folder / "recipe.toml").write_text('tag = "cats"\n')
    with pytest.raises(WeightsError, match=r"recipe.toml is corrupt or changed"):
        catalog.build_catalog(folder.parent)


@pytest.mark.parametrize(("name", "tag"), [("pets", "pets"), ("isonet-8", None)])
def test_a_folder_is_catalogued_under_its_own_name_only(tmp_path, name, tag):
    write_folder(isozoo.create("isonet-8", classes=2), tmp_path / name, tag=tag)
    with pytest.raises(WeightsError, match=r"holds the weights isonet-8.* published weights have"):
        catalog.build_catalog(tmp_path)


def test_no_weights_make_an_empty_catalog(tmp_path):
    assert catalog.build_catalog(tmp_path / "nowhere") == "[]\n"


def test_the_command_says_whether_the_catalog_is_fresh_and_renews_it(zoo, monkeypatch, capsys):
    assert catalog.main([]) == 0
    assert capsys.readouterr().out == "catalog.json is fresh\n"
    catalog.CATALOG.write_text("[]\n")
    assert catalog.main([]) == 1
    assert capsys.readouterr().out == "catalog.json is stale; run with --write\n"
    assert catalog.main(["--write"]) == 0
    assert catalog.main([]) == 0
