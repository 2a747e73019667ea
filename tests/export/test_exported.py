"""An exported folder that is not what was written is refused in words."""

import json

import numpy as np
import pytest

from isozoo.errors import ExportError, UnknownNameError, WeightsError
from isozoo.export import is_exported, load_exported, means_export, open_classifier, read_sidecar
from isozoo.export.sidecar import GOLDEN, SIDECAR, Sidecar
from tests.export.conftest import rewrite

GRAPH = "saved_model/saved_model.pb"


def refused(folder, match):
    with pytest.raises(WeightsError, match=match):
        load_exported(folder)


@pytest.mark.parametrize("name", [GRAPH, GOLDEN, "saved_model/variables/variables.index"])
def test_a_file_that_is_not_there(folder, name):
    (folder / name).unlink()
    refused(folder, rf"pets lacks {name}, which its isozoo-export.json lists with \d+ bytes; copy")


def test_a_file_that_ends_early(folder):
    path = folder / GRAPH
    path.write_bytes(path.read_bytes()[:-1])
    refused(folder, r"saved_model.pb is truncated or changed: expected (\d+) bytes")


def test_a_file_with_another_byte(folder):
    path = folder / GRAPH
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    refused(folder, r"saved_model.pb is corrupt or changed: .* found [0-9a-f]{64}; ")


def test_a_file_that_nobody_vouches_for(folder):
    name = "saved_model/variables/variables.index"
    values = json.loads((folder / SIDECAR).read_text())
    del values["files"][name]
    (folder / SIDECAR).write_text(json.dumps(values))
    refused(folder, f"files does not list {name}")


def test_a_file_that_no_runtime_reads_does_no_harm(folder):
    (folder / ".DS_Store").write_bytes(b"of a file manager")
    assert load_exported(folder).labels


def test_a_sidecar_of_a_newer_isozoo(folder):
    rewrite(folder, version=2)
    refused(folder, "has version 2, this isozoo reads 1; upgrade with `pip install -U isozoo`")


@pytest.mark.parametrize("version", ["1", None, 0, True])
def test_a_version_that_is_none(folder, version):
    rewrite(folder, version=version)
    refused(folder, f"has version {version!r}, this isozoo reads 1; copy the folder again")


@pytest.mark.parametrize(
    "name", ["../golden.npz", "/etc/passwd", "saved_model/../../x", "a\\b", "c:x", ""]
)
def test_a_file_outside_of_the_folder(folder, name):
    rewrite(folder, files={name: {"size": 1, "sha256": "0"}})
    refused(folder, "is not the name of a file in the same folder")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "coreml"}, "'coreml'"),
        ({"dtype": "int8"}, "the dtype is 'int8'"),
        ({"layout": "channels_first"}, "the layout is 'channels_first', not 'channels_last'"),
        ({"labels": ["cat", "dog"]}, "number of labels is 2, not 3"),
        ({"labels": ["cat", "cat", "owl"]}, "cat"),
        ({"input_shape": [None, 32, 32]}, r"input_shape is \(None, 32, 32\), not four integers"),
        ({"input_shape": [None, None, None, 3]}, "not four integers of at least 1, the first"),
        ({"input_shape": [0, 32, 32, 3]}, "input_shape is .*, not four integers"),
        ({"input_shape": [-2, 32, 32, 3]}, "input_shape is .*, not four integers"),
        ({"input_shape": [2.0, 32, 32, 3]}, "input_shape is .*, not four integers"),
        ({"input_shape": [None, "32", 32, 3]}, "input_shape is .*, not four integers"),
        ({"input_shape": [None, 32, 32, 1]}, r"an image is \(32, 32, 1\), not \(32, 32, 3\)"),
        ({"input_shape": [None, 48, 48, 3]}, r"an image is \(48, 48, 3\), not \(32, 32, 3\)"),
        ({"name": 3}, "name is 3, not a text"),
        ({"format": ["onnx"]}, r"format is \['onnx'\], not a text"),
        ({"input_name": None}, "input_name is None, not a text"),
        ({"licence": [1]}, r"licence is \[1\], not a text or null"),
        ({"metrics": "x"}, "metrics is 'x', not finite numbers by name"),
        ({"metrics": {"top1": True}}, "metrics is .*True.*, not finite numbers"),
        ({"calibration": "many"}, "calibration is 'many', not a count"),
        ({"difference": None}, "difference is None, not a finite number"),
        ({"files": {}}, "files does not list golden.npz, saved_model/saved_model.pb"),
        ({"architecture": {"name": "x"}}, "cannot read"),
        ({"files": {"a": {"size": 1}}}, "cannot read"),
    ],
)
def test_a_sidecar_that_contradicts_itself(folder, change, match):
    rewrite(folder, **change)
    refused(folder, match)


@pytest.mark.parametrize(
    ("text", "match"), [("{", "is not JSON"), ("[]", "must hold a JSON object"), ("\xff", "text")]
)
def test_a_sidecar_that_is_none(folder, text, match):
    (folder / SIDECAR).write_bytes(text.encode("latin-1"))
    refused(folder, match)


def test_a_key_that_is_lost(folder):
    values = json.loads((folder / SIDECAR).read_text())
    del values["labels"], values["output_name"]
    (folder / SIDECAR).write_text(json.dumps(values))
    refused(folder, "lacks labels, output_name")


def test_other_folders(tmp_path):
    refused(tmp_path / "none", "no exported network at .*none; check the path")
    (tmp_path / "isozoo.json").write_text("{}")
    refused(tmp_path, r"is no exported network: it has no isozoo-export.json \(found isozoo.json\)")


def test_what_is_written_is_read(original):
    sidecar = read_sidecar(original)
    assert Sidecar.from_json(sidecar.to_json()) == sidecar


# Running it


def test_images_of_another_shape(original):
    exported = load_exported(original)
    with pytest.raises(ValueError, match=r"exported for images of the shape \(32, 32, 3\), got a"):
        exported(np.zeros((1, 3, 32, 32)))
    with pytest.raises(ValueError, match="exported to be run; load its weights to train"):
        exported(np.zeros((1, 32, 32, 3)), training=True)


def test_pictures_that_were_not_prepared(original):
    exported = load_exported(original)
    with pytest.raises(ValueError, match="takes preprocessed images, floats, and was given uint8"):
        exported(np.zeros((1, 32, 32, 3), np.uint8))


def test_no_images(original):
    exported = load_exported(original)
    assert exported.preprocess([]).shape == (0, 32, 32, 3)
    assert exported(exported.preprocess([])).shape == (0, 3)
    assert exported.classify([]) == []


def test_options_that_a_runtime_lacks(original):
    with pytest.raises(ExportError, match="SavedModel cannot be run with threads=2: it takes no"):
        load_exported(original, threads=2)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        load_exported(original, threads=0)
    with pytest.raises(UnknownNameError, match="unknown precision 'bf16'"):
        load_exported(original, precision="bf16")


# What a name stands for


def test_a_word_that_names_a_network_is_that_network(folder, monkeypatch):
    here = folder.rename(folder.with_name("r-isonet-8"))
    monkeypatch.chdir(here.parent)
    assert is_exported("r-isonet-8")
    assert not means_export("r-isonet-8")
    assert means_export("./r-isonet-8")
    assert means_export(here)
    assert open_classifier("./r-isonet-8").name == "r-isonet-8.pets"
