"""The model card: valid front matter, and no number that is not the manifest's or the log's."""

import dataclasses
import re

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

import isozoo
from isozoo.models import FAMILIES
from isozoo.models.card import HUB_LICENCES, ROWS, card
from isozoo.models.citations import PAPERS, papers
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import read_manifest

LOG = [
    {
        "epoch": epoch,
        "size": 64 if epoch <= 30 else 128,
        "learning_rate": 0.1 / epoch,
        "seconds": 360.0,
        "loss": 2.0 / epoch,
        "accuracy": epoch / 100,
        **({"val_accuracy": epoch / 101} if epoch % 2 == 0 else {}),
    }
    for epoch in range(1, 61)
]


METRICS = {"top1": 0.75, "top5": 1.0, "images": 20}


@pytest.fixture
def manifest(folder):
    """The manifest of a network that might have been trained on Imagenette."""
    return dataclasses.replace(read_manifest(folder), tag="imagenette", metrics=METRICS)


def front_matter(text):
    """The front matter's content, read as the Hub reads it."""
    return yaml.safe_load(text.split("---\n")[1])


def programs(text):
    """The Python blocks of a card."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def rows(text):
    """The training table's rows, cells stripped."""
    table = text.split("## Training")[1].split("## Limits")[0]
    lines = [line for line in table.splitlines() if re.match(r"\| *\d", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_front_matter_is_what_the_hub_reads(manifest):
    data = ModelCard(card(manifest, LOG)).data
    assert data.library_name == "keras"
    assert data.license == "mit"
    assert data.pipeline_tag == "image-classification"
    assert {"isozoo", "r-isonet"} <= set(data.tags)
    assert data.datasets == ["frgfm/imagenette"]
    assert data.metrics == ["accuracy"]
    assert data.model_name == "r-isonet-8.imagenette"
    results = {result.metric_name: result for result in data.eval_results}
    assert results["top-1 accuracy"].metric_value == 0.75
    assert results["top-5 accuracy"].metric_value == 1.0
    assert results["top-1 accuracy"].dataset_type == "frgfm/imagenette"
    assert results["top-1 accuracy"].dataset_split == "validation"


def test_the_model_index_has_the_form_the_hub_asks_for(manifest):
    data = front_matter(card(manifest, LOG))
    assert set(data) == {
        "datasets", "library_name", "license", "metrics", "model-index", "pipeline_tag", "tags",
    }  # fmt: skip
    (model,) = data["model-index"]
    assert set(model) == {"name", "results"}
    (result,) = model["results"]
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"] == {
        "name": "Imagenette", "type": "frgfm/imagenette", "split": "validation",
    }  # fmt: skip
    assert result["metrics"] == [
        {"type": "accuracy", "value": 0.75, "name": "top-1 accuracy"},
        {"type": "accuracy", "value": 1.0, "name": "top-5 accuracy"},
    ]


def test_a_card_names_whose_weights_these_are(manifest):
    assert "## Source" not in card(manifest)
    assert "\n## Source\n\nsomebody\n" in card(dataclasses.replace(manifest, source="somebody"))


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", {"license": "mit"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("GPL-3.0-only", {"license": "other", "license_name": "GPL-3.0-only"}),
        (None, {}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_goes_by_its_name(manifest, licence, expected):
    text = card(dataclasses.replace(manifest, licence=licence))
    found = front_matter(text)
    assert {key: found[key] for key in found if key.startswith("license")} == expected
    assert (f"Licence: {licence}." in text) == (licence is not None)
    assert all(name == name.lower() for name in HUB_LICENCES)


def test_every_number_is_the_manifests(manifest):
    text = card(manifest)
    assert f"{manifest.parameters:,} parameters, 3 classes (cat, dog, owl)" in text
    assert "| top-1 accuracy | 75.00% |" in text
    assert "| top-5 accuracy | 100.00% |" in text
    assert "| images | 20 |" in text
    assert "Measured on the validation images of Imagenette" in text
    assert f"| size | {manifest.preprocessing.size} |" in text
    assert "names one of its 3 classes of Imagenette" in text


def test_the_training_is_told_from_the_log(manifest):
    text = card(manifest, LOG)
    assert "60 epochs and 6.0 hours of training steps" in text
    table = rows(text)
    assert table[0] == ["1", "64", "0.1", "2.000", "1.0%", ""]
    assert table[-1] == ["60", "128", "0.00167", "0.033", "60.0%", "59.4%"]
    assert len(table) <= ROWS
    assert all(row[-1] for row in table[1:]), "rows between the ends are validated epochs"


@pytest.mark.parametrize("epochs", [1, 2, 3, 9, 10, 11, 60])
def test_the_training_table_has_both_ends_and_few_rows(manifest, epochs):
    numbers = [int(row[0]) for row in rows(card(manifest, LOG[:epochs]))]
    assert numbers[0] == 1
    assert numbers[-1] == epochs
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= ROWS


def test_columns_are_those_of_the_log(manifest):
    text = card(manifest, [{"epoch": 1, "loss": 1.5}])
    assert "| epoch | loss |\n| --- | --- |\n| 1 | 1.500 |" in text
    assert "hours" not in text


def test_without_a_log_nothing_is_said_of_the_training(manifest):
    assert "## Training" not in card(manifest)


def test_the_learning_curve_is_shown_where_the_folder_has_one(folder):
    manifest = read_manifest(folder)
    assert "![learning curve](learning_curve.png)" in card(manifest, LOG)
    bare = {name: file for name, file in manifest.files.items() if name != "learning_curve.png"}
    assert "learning_curve" not in card(dataclasses.replace(manifest, files=bare), LOG)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["owner/NAME", "path/to/NAME", "owner/NAME", "owner/NAME"]),
        ({"repository": "me/x"}, ["me/x", "path/to/NAME", "me/x", "me/x"]),
        ({"catalogued": True}, ["NAME", "owner/NAME", "path/to/NAME", "NAME", "NAME"]),
        (
            {"catalogued": True, "repository": "me/x"},
            ["NAME", "me/x", "path/to/NAME", "NAME", "NAME"],
        ),
    ],
)
def test_the_weights_are_loaded_from_where_they_are(manifest, options, names):
    found = re.findall(r'isozoo.load\w*\("([^"]+)"', "".join(programs(card(manifest, **options))))
    assert found == [name.replace("NAME", "r-isonet-8.imagenette") for name in names]


def test_the_python_in_the_card_runs(folder, manifest, tmp_path, monkeypatch):
    Image.new("RGB", (60, 40)).save(tmp_path / "picture.jpg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "path" / "to").mkdir(parents=True)
    for place in (tmp_path / "owner", tmp_path / "path" / "to"):
        (place / manifest.full_name).symlink_to(folder)
    names = {}
    for program in programs(card(manifest)):
        exec(program, names)
    assert names["prediction"].label in manifest.labels
    assert names["model"].labels == ("cat", "dog")
    assert list(names["encoder"].pyramid_outputs) == ["P0", "P1", "P2"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_something_to_cite(family, manifest):
    assert set(PAPERS) <= set(FAMILIES)
    described = dataclasses.replace(manifest.architecture, family=family)
    text = card(dataclasses.replace(manifest, architecture=described))
    (entries,) = re.findall(r"```bibtex\n(.*?)\n```", text, re.DOTALL)
    assert entries.count("@inproceedings{") == len(papers(family)) > 0
    for paper in papers(family):
        assert f"title = {{{{{paper.title}}}}}," in entries
        assert f"https://arxiv.org/abs/{paper.arxiv}" in text
    assert entries.count("{") == entries.count("}")


def test_weights_nobody_described_have_a_card_that_says_nothing_of_them(tmp_path):
    write_folder(isozoo.create("isonet-8", classes=12), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    data = ModelCard(text).data
    assert (data.license, data.datasets, data.metrics, data.eval_results) == (None,) * 4
    assert "# isonet-8\n" in text
    assert "12 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...)" in text
    assert "## Results" not in text
    assert "trained on" not in text


def test_the_card_of_a_folder_names_the_repository_it_is_for(folder, tmp_path):
    write_folder(load_folder(folder), tmp_path / "out", repository="me/cats")
    assert 'isozoo.load("me/cats")' in (tmp_path / "out" / "README.md").read_text()


def test_an_unknown_data_set_is_called_by_its_tag(folder):
    text = card(read_manifest(folder))
    assert "trained on `cats`" in text
    assert "| top-1 accuracy | 75.00% |" in text
    assert ModelCard(text).data.eval_results is None


def test_a_variant_of_a_tag_is_of_the_same_data_set(manifest):
    text = card(dataclasses.replace(manifest, tag="imagenet-nodropout"))
    assert "It was trained on ImageNet-1k." in text
    assert front_matter(text)["datasets"] == ["ILSVRC/imagenet-1k"]


@pytest.mark.parametrize("tag", ["imagenet-mysubset", "imagenette-160", "imagenet-"])
def test_a_tag_that_only_begins_like_a_data_set_is_another(manifest, tag):
    text = card(dataclasses.replace(manifest, tag=tag))
    assert f"It was trained on `{tag}`." in text
    assert f"Measured on `{tag}`, with" in text
    assert not {"datasets", "model-index"} & front_matter(text).keys()


def test_numbers_without_a_tag_are_of_unstated_images(manifest):
    text = card(dataclasses.replace(manifest, tag=None))
    assert "None" not in text
    assert "\nMeasured, with the preprocessing below. It is not stated on which images." in text


def test_a_log_without_a_recipe_says_nothing_of_one(manifest):
    files = {name: file for name, file in manifest.files.items() if name != "recipe.toml"}
    assert "`recipe.toml` is exactly what was run" in card(manifest, LOG)
    text = card(dataclasses.replace(manifest, files=files), LOG)
    assert "recipe.toml" not in text
    assert "`log.jsonl` has every epoch" in text


def test_epochs_may_be_logged_as_any_kind_of_number(manifest):
    assert rows(card(manifest, [{"epoch": 1.0, "size": 64.0}])) == [["1", "64"]]


def test_a_card_says_how_isozoo_is_installed_as_the_readme_does(manifest, root):
    (command,) = re.findall(r"`pip (install [^`]+)`", card(manifest))
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert command in readme.replace("install -q", "install")
