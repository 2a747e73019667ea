"""isozoo diagnose: tables, JSON, files, results side by side, and the page on a run."""

import json

import keras
import pytest

from isozoo.diagnostics import components
from tests.diagnostics.pictures import write_data, write_run


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


def test_a_measure_says_its_cost_prints_its_table_and_writes_its_files(
    isozoo_command, data, tmp_path
):
    arguments = ("--fresh", "--data", data, "--images", 2, "--measure", "spectra")
    found = isozoo_command("diagnose", "isonet-8", *arguments, "--out", tmp_path / "a")
    assert found.code == 0, found.err
    assert "isozoo: singular values of every convolution: " in found.err
    assert "backbone/s1_b1_f_a" in found.out
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "spectra.json",
        "spectra.png",
        "subject.json",
    ]
    beside = isozoo_command(
        "diagnose", "resnet-8", *arguments, "--beside", tmp_path / "a", "--json"
    )
    (record,) = json.loads(beside.out)
    labels = [network["label"] for network in record["networks"]]
    assert labels == ["isonet-8, untrained", "resnet-8, untrained"]
    # Whatever cannot stand beside another stays alone, and is measured all the same.
    more = isozoo_command(
        "diagnose", "isonet-8", *arguments, "--measure", "filters", "--measure", "isometry",
        "--beside", tmp_path / "a", "--json",
    )  # fmt: skip
    assert more.code == 0, more.err
    assert "filters will stand alone: it is of one network only" in more.err
    assert "isometry will stand alone: " in more.err
    assert [record["measure"] for record in json.loads(more.out)] == [
        "spectra",
        "filters",
        "isometry",
    ]


def test_a_measure_that_is_not_known_costs_nothing(isozoo_command, data):
    found = isozoo_command("diagnose", "isonet-8", "--data", data, "--measure", "spectrum")
    assert found.code == 2
    assert "unknown measure 'spectrum'; did you mean 'spectra'" in found.err


def test_a_file_of_keras_is_measured(isozoo_command, data, tmp_path):
    convolution = keras.layers.Conv2D(2, 3, strides=4, name="only")
    layers = [keras.Input((16, 16, 3)), convolution, keras.layers.GlobalAveragePooling2D()]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    arguments = ("--data", data, "--images", 2, "--measure", "spectra")
    found = isozoo_command("diagnose", tmp_path / "own.keras", *arguments)
    assert found.code == 0, found.err
    assert "only" in found.out


def test_a_run_is_explained(isozoo_command, data, tmp_path, monkeypatch):
    monkeypatch.setattr(components, "COMPONENTS", components.COMPONENTS[3:4])
    run = write_run(tmp_path, log=[{"accuracy": 0.5, "loss": 0.7}])
    found = isozoo_command("diagnose", run, "--data", data, "--images", 2)
    assert found.code == 0, found.err
    assert "The run is unfinished" in found.out
    assert "without residual scale 0" in found.out


def test_what_cannot_be_compared_is_refused_before_anything_runs(isozoo_command, data, tmp_path):
    arguments = ("--data", data, "--images", 2, "--beside", tmp_path)
    run = isozoo_command("diagnose", write_run(tmp_path), *arguments)
    assert run.code == 2
    assert "asked to put explanation beside" in run.err
    assert "(spectra, isometry, propagation, jacobian)" in run.err
    filters = isozoo_command("diagnose", "isonet-8", "--fresh", *arguments, "--measure", "filters")
    assert filters.code == 2
    assert "passes of" not in filters.err
