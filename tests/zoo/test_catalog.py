"""Names and records: what is listed, in what order, and what is said of a name nobody has."""

import dataclasses
import json

import pytest

import isozoo
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.files import FileRecord
from isozoo.models import architecture_names
from isozoo.models.folder import write_folder
from isozoo.models.manifest import CARD
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
        if record.release is None:
            assert 0 < record.metrics["top1"] <= record.metrics["top5"] <= 1
            assert "isozoo.json" in record.files
        else:
            assert 0 < record.reported["top1"] < 1


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
    record = isozoo.info("resnet-50")
    assert record.name == record.architecture == "resnet-50"
    assert record.parameters == 25_557_032
    assert (record.tag, record.licence, record.recipe, record.commit) == (None,) * 4
    assert (record.metrics, record.reported, record.files, record.release) == ({}, {}, {}, None)


def test_weights_have_everything_their_folder_says(zoo):
    record = isozoo.info("r-isonet-8.pets")
    folder = zoo / "r-isonet-8.pets"
    assert (record.architecture, record.tag, record.licence) == ("r-isonet-8", "pets", "MIT")
    assert record.metrics == {"top1": 0.5, "top5": 1.0, "images": 20}
    assert record.recipe == "weights/r-isonet-8.pets/recipe.toml"
    assert record.gflops == catalog._sizes()["r-isonet-8"]["gflops"]
    assert record.parameters < catalog._sizes()["r-isonet-8"]["parameters"]  # 3 classes, not 1000
    listed = [path for path in folder.iterdir() if path.name != CARD]
    assert record.files == {path.name: FileRecord.of(path) for path in listed}


def test_a_name_without_a_tag_is_its_best_known_tag(zoo):
    assert isozoo.info("r-isonet-8").tag == "imagenette"
    assert isozoo.info("r-isonet-14").tag is None


def test_whatever_create_builds_has_a_record(zoo):
    deep = isozoo.info("isonet-62")
    assert (deep.name, deep.architecture, deep.tag) == ("isonet-62", "isonet-62", None)
    # Three stages of one more block each at depth 62 than at 56, in the proportion of the widths.
    shallower = [isozoo.info(f"isonet-{depth}").parameters for depth in (44, 56)]
    assert deep.parameters - shallower[1] == (shallower[1] - shallower[0]) / 2
    assert isozoo.info("resnet-18-w64").name == "resnet-18"
    assert isozoo.info("resnet-18-w16").parameters < isozoo.info("resnet-18-w32").parameters


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


# The authors' releases

RELEASES = {
    "source": "https://github.com/HaozhiQi/ISONet",
    "licence": "MIT",
    "weights": [
        {"name": "r-isonet-8.imagenet", "dropout": 0.4, "top1": 0.5, "file_id": "abc"},
        {"name": "r-isonet-8.pets", "dropout": 0.0, "top1": 0.4, "file_id": "def"},
    ],
}


def test_the_paper_released_every_network_with_and_without_dropout():
    released = [
        record
        for record in map(isozoo.info, isozoo.list_models(pretrained=True))
        if record.release is not None
    ]
    expected = [
        f"{family}-{depth}.{tag}"
        for family in ("isonet", "r-isonet")
        for depth in (18, 34, 50, 101)
        for tag in ("imagenet", "imagenet-nodropout")
    ]
    assert [record.name for record in released] == expected
    assert len({record.release.file_id for record in released}) == 16
    for record in released:
        assert record.licence == "MIT"
        assert record.release.source == "https://github.com/HaozhiQi/ISONet"
        assert record.release.url.endswith(f"/{record.release.file_id}/view")
        usual = isozoo.architecture(record.architecture).dropout
        assert record.release.dropout == (usual if record.tag == "imagenet" else 0.0)
        assert record.metrics == {}


@pytest.mark.parametrize(
    ("name", "top1"),
    [("isonet-18", 0.6810), ("isonet-101", 0.7101), ("r-isonet-50", 0.7618)],
)
def test_the_better_of_two_trainings_is_the_default(name, top1):
    """The one with dropout, in all eight pairs."""
    default, other = isozoo.info(name), isozoo.info(f"{name}.imagenet-nodropout")
    assert default.name == f"{name}.imagenet"
    assert default.reported["top1"] == top1 > other.reported["top1"]


def test_what_authors_report_is_kept_apart_from_what_was_measured(zoo):
    catalog.RELEASES.write_text(json.dumps(RELEASES))
    catalog.CATALOG.write_text(catalog.build_catalog())
    catalog._read_weights.cache_clear()
    released, both = isozoo.info("r-isonet-8"), isozoo.info("r-isonet-8.pets")
    assert (released.reported, released.metrics) == ({"top1": 0.5}, {})
    assert (both.reported["top1"], both.metrics["top1"]) == (0.4, 0.5)
    assert both.release == catalog.Release(RELEASES["source"], "def", 0.0)
    assert "isozoo.json" in both.files


def test_what_was_published_is_pinned(zoo):
    catalog.PINS.write_text('{"r-isonet-8.pets": {"repository": "a/b", "commit": "0123"}}')
    pinned, other = json.loads(catalog.build_catalog())[::-1]
    assert (pinned["name"], pinned["repository"], pinned["commit"]) == (
        "r-isonet-8.pets", "a/b", "0123",
    )  # fmt: skip
    assert other["repository"] is other["commit"] is None
    catalog.PINS.write_text('{"r-isonet-8.cats": {"repository": "a/b", "commit": "0123"}}')
    with pytest.raises(WeightsError, match=r"pins 'r-isonet-8.cats', of which there is neither"):
        catalog.build_catalog()


def test_a_pin_of_a_release_states_its_files(zoo):
    catalog.RELEASES.write_text(json.dumps(RELEASES))
    pin = {"repository": "a/b", "commit": "0123"}
    catalog.PINS.write_text(json.dumps({"r-isonet-8.imagenet": pin}))
    with pytest.raises(WeightsError, match=r"pins 'r-isonet-8.imagenet' without the size and hash"):
        catalog.build_catalog()
    files = {"isozoo.json": {"size": 3, "sha256": "ab" * 32}}
    catalog.PINS.write_text(json.dumps({"r-isonet-8.imagenet": {**pin, "files": files}}))
    catalog.renew()
    record = isozoo.info("r-isonet-8.imagenet")
    assert record.files == {"isozoo.json": FileRecord(3, "ab" * 32)}
    assert (record.commit, record.release.file_id) == ("0123", "abc")


# Generation


def test_a_changed_file_is_not_catalogued(zoo, weights, tmp_path):
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


def test_no_weights_make_an_empty_catalog(zoo, tmp_path):
    assert catalog.build_catalog(tmp_path / "nowhere") == "[]\n"


def test_the_command_says_whether_the_catalog_is_fresh_and_renews_it(zoo, monkeypatch, capsys):
    assert catalog.main([]) == 0
    assert capsys.readouterr().out == "catalog.json is fresh\n"
    catalog.CATALOG.write_text("[]\n")
    assert catalog.main([]) == 1
    assert capsys.readouterr().out == "catalog.json is stale; run with --write\n"
    assert catalog.main(["--write"]) == 0
    assert catalog.main([]) == 0
