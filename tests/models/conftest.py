"""A small network and its weights folder, to write, read and damage."""

import json
import shutil

import numpy as np
import pytest

from isozoo.files import FileRecord
from isozoo.models import FAMILIES, architecture
from isozoo.models.classifier import Classifier
from isozoo.models.families import OWN_DEPTHS
from isozoo.models.folder import write_folder
from isozoo.models.manifest import MANIFEST
from isozoo.models.variables import named_variables

#: The families that come in all depths of residual networks.
RESIDUAL = [family for family in FAMILIES if family not in OWN_DEPTHS]
IMAGES = np.linspace(-1, 1, 2 * 32 * 32 * 3, dtype="float32").reshape(2, 32, 32, 3)


def network(name="r-isonet-8", changes=None, **options):
    """Return a small network with every variable away from its usual start."""
    described = architecture(name, classes=3, **(changes or {}))
    model = Classifier(described, labels=["cat", "dog", "owl"], **options)
    random = np.random.default_rng(0)
    for variable in named_variables(model).values():
        values = 0.1 * random.standard_normal(variable.shape)
        variable.assign(abs(values) if variable.name == "moving_variance" else values)
    return model


@pytest.fixture(scope="session")
def model():
    return network()


@pytest.fixture(scope="session")
def original(model, tmp_path_factory):
    """A folder with every file a folder can have."""
    path = tmp_path_factory.mktemp("original") / "cats"
    write_folder(
        model,
        path,
        tag="cats",
        metrics={"top1": 0.75},
        licence="MIT",
        recipe="epochs = 2\n",
        log=[{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}],
    )
    return path


@pytest.fixture
def folder(original, tmp_path):
    """A copy of that folder, to damage."""
    return shutil.copytree(original, tmp_path / "cats")


def rewrite(folder, change):
    """Apply a change to `isozoo.json`."""
    path = folder / MANIFEST
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def bless(folder, *names):
    """Make `isozoo.json` agree with the named files, as someone who edits a folder might."""

    def change(data):
        for name in names:
            record = FileRecord.of(folder / name)
            data["files"][name] = {"size": record.size, "sha256": record.sha256}

    rewrite(folder, change)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
