"""isozoo export: what it passes on and prints; predict and evaluate on what it wrote."""

import json
import shutil
import types

import numpy as np
import pytest
from PIL import Image

import isozoo
from isozoo.export import export_model
from isozoo.models import architecture
from isozoo.models.classifier import Classifier
from isozoo.zoo import catalog


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """An export of a network that knows cats from dogs."""
    folder = tmp_path_factory.mktemp("exports") / "pets"
    model = Classifier(architecture("isonet-8", classes=2), labels=["cat", "dog"])
    export_model(model, folder)
    return folder


@pytest.fixture
def network(monkeypatch):
    model = Classifier(architecture("isonet-8", classes=2), labels=["cat", "dog"])
    monkeypatch.setattr(isozoo, "load", lambda name: model)
    return model


def test_what_was_written_is_told(isozoo_command, network, tmp_path):
    out = tmp_path / "pets"
    found = isozoo_command("export", "my-net", "--format", "saved_model", "--out", out)
    assert (found.code, found.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in found.out.splitlines())
    assert lines["NAME"].strip() == "isonet-8"
    assert "any x 32 x 32 x 3, channels last" in lines["input"]
    assert lines["written"].strip() == str(out)
    assert (out / "isozoo-export.json").is_file()


def test_everything_is_passed_on(isozoo_command, network, tmp_path, monkeypatch):
    calls = []

    def export_model(*args, **options):
        calls.append((args, options))
        return sidecar

    sidecar = types.SimpleNamespace(
        name="my-net", format="litert", dtype="int8", layout="channels_last", input_name="images",
        input_shape=(4, 48, 48, 3), output_name="logits", labels=("a", "b"), calibration=12,
        difference=0.01, files={"model.tflite": types.SimpleNamespace(size=1234)},
    )  # fmt: skip
    monkeypatch.setattr(isozoo.export, "export_model", export_model)
    found = isozoo_command(
        "export", "my-net", "--format", "litert", "--dtype", "int8", "--out", tmp_path / "o",
        "--calibration", tmp_path, "--image-size", 48, "--batch-size", 4, "--json",
    )  # fmt: skip
    ((args, options),) = calls
    assert args == (network, tmp_path / "o", "litert", "int8", tmp_path)
    assert options == {"image_size": 48, "batch_size": 4}
    told = json.loads(found.out)
    assert (told["bytes"], told["calibration"], told["input"]["shape"][0]) == (1234, 12, 4)


def test_what_cannot_be_exported_is_one_line_before_anything_is_loaded(
    isozoo_command, tmp_path, monkeypatch
):
    monkeypatch.setattr(isozoo, "load", None)
    (tmp_path / "thesis.tex").write_text("words")
    for options, match in {
        ("litert", "--dtype", "int8"): "int8 needs pictures to measure the ranges of its numbers",
        ("saved_model", "--dtype", "int8"): "a SavedModel cannot be exported as int8",
        ("saved_model",): f"cannot export to {tmp_path}: it would replace thesis.tex",
    }.items():
        found = isozoo_command("export", "my-net", "--out", tmp_path, "--format", *options)
        assert found.code == 2
        assert found.err.startswith(f"isozoo: {match}")
        assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"), [("--image-size", "0"), ("--batch-size", "-1"), ("--batch-size", "x")]
)
def test_a_size_that_is_none(isozoo_command, tmp_path, option, value):
    found = isozoo_command(
        "export", "n", "--format", "onnx", "--out", tmp_path / "o", option, value
    )
    assert found.code == 2
    assert f"argument {option}: " in found.err.splitlines()[-1]


def test_a_format_that_is_none(isozoo_command, tmp_path):
    found = isozoo_command("export", "my-net", "--format", "coreml", "--out", tmp_path / "o")
    assert found.code == 2
    assert "invalid choice: 'coreml' (choose from" in found.err


def test_predict_takes_an_exported_folder(isozoo_command, pets, tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    found = isozoo_command("predict", tmp_path / "a.png", "--model", pets, "--json")
    assert (found.code, found.err) == (0, "")
    (image,) = json.loads(found.out)["images"]
    assert sorted(item["label"] for item in image["predictions"]) == ["cat", "dog"]


@pytest.mark.parametrize("command", [("predict", "a.png", "--model"), ("evaluate", "--data", "d")])
def test_a_backend_that_an_export_does_not_run_on(isozoo_command, pets, command):
    found = isozoo_command(*command, pets, "--backend", "tensorflow")
    assert found.code == 2
    assert found.err.startswith("isozoo: asked for --backend tensorflow, but ")
    assert found.err.endswith("which runs in its own runtime; leave out --backend\n")


def test_a_fresh_process_says_nothing_but_the_answer(pets, tmp_path, python):
    """Whichever runtime starts: TensorFlow and LiteRT would speak of processors."""
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    model = Classifier(architecture("isonet-8", classes=2), labels=["cat", "dog"])
    export_model(model, tmp_path / "litert", "litert")
    program = (
        "import sys; from isozoo.cli import main; "
        "print([main(['predict', sys.argv[1], '--model', name]) for name in sys.argv[2:]])"
    )
    ran = python("-c", program, str(tmp_path / "a.png"), str(tmp_path / "litert"), str(pets))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1] == "[0, 0]"


def test_a_damaged_export_is_refused(isozoo_command, pets, tmp_path):
    (tmp_path / "isozoo-export.json").write_text((pets / "isozoo-export.json").read_text())
    found = isozoo_command("predict", "a.png", "--model", tmp_path)
    assert found.code == 2
    assert "lacks golden.npz" in found.err


@pytest.fixture
def colours(tmp_path):
    """One picture of each class."""
    for label, colour in (("cat", 0), ("dog", 255)):
        (tmp_path / "val" / label).mkdir(parents=True)
        picture = Image.fromarray(np.full((40, 40, 3), colour, np.uint8))
        picture.save(tmp_path / "val" / label / "1.png")
    return tmp_path


def test_evaluate_takes_an_exported_folder(isozoo_command, pets, colours):
    found = isozoo_command("evaluate", pets, "--data", colours, "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert (told["images"], told["reported"], told["tolerance"]) == (2, None, 0.002)
    assert told["name"] == str(pets)


def test_an_export_is_compared_with_what_the_authors_report(
    isozoo_command, pets, colours, tmp_path, monkeypatch
):
    folder = shutil.copytree(pets, tmp_path / "released")
    sidecar = json.loads((folder / "isozoo-export.json").read_text())
    (folder / "isozoo-export.json").write_text(json.dumps(sidecar | {"name": "isonet-8.pets"}))
    record = catalog.Record("isonet-8.pets", "isonet-8", "pets", 1, 1.0, reported={"top1": 0.25})
    monkeypatch.setattr(catalog, "_weights", lambda: {record.name: record})
    found = isozoo_command("evaluate", folder, "--data", colours, "--json")
    assert json.loads(found.out)["reported"] == 0.25
