"""The model card: valid front matter, and no number that is not the manifest's or the log's."""

import re

import pytest
from huggingface_hub import ModelCard

import isozoo
from isozoo.models.folder import write_folder
from isozoo.models.manifest import read_manifest
from isozoo.zoo.cards import ROWS, card

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


@pytest.fixture
def manifest(weights):
    return read_manifest(weights / "r-isonet-8.imagenette")


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


def test_the_python_in_the_card_runs(zoo, manifest, tmp_path, monkeypatch):
    from PIL import Image

    Image.new("RGB", (60, 40)).save(tmp_path / "picture.jpg")
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / manifest.full_name).symlink_to(zoo / manifest.full_name)
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", card(manifest), re.S)
    names = {}
    exec(program, names)
    assert names["prediction"].label in manifest.labels


def test_weights_nobody_described_have_a_card_that_says_nothing_of_them(tmp_path):
    manifest = write_folder(isozoo.create("isonet-8", classes=12), tmp_path / "out", card=card)
    text = (tmp_path / "out" / "README.md").read_text()
    data = ModelCard(text).data
    assert (data.license, data.datasets, data.metrics, data.eval_results) == (None,) * 4
    assert "# isonet-8\n" in text
    assert "12 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...)" in text
    assert "## Results" not in text
    assert "trained on" not in text
    assert "README.md" in manifest.files


def test_an_unknown_data_set_is_called_by_its_tag(weights):
    manifest = read_manifest(weights / "r-isonet-8.pets")
    text = card(manifest)
    assert "trained on `pets`" in text
    assert "| top-1 accuracy | 50.00% |" in text
    assert ModelCard(text).data.eval_results is None
