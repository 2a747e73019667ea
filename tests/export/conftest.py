"""A small network, pictures to calibrate on, and an export to damage."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from isozoo.export import export_model
from isozoo.export.sidecar import SIDECAR
from isozoo.models import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.provenance import Provenance, Subject
from isozoo.models.variables import named_variables

LABELS = ["cat", "dog", "owl"]


def network(name="r-isonet-8", blocks=None, **options):
    """Return a small network whose layers all matter to what it answers."""
    described = architecture(name, classes=3)
    if blocks is not None:
        described = described.replace(blocks=blocks)
    model = Classifier(described, labels=LABELS, **options)
    random = np.random.default_rng(0)
    for variable in named_variables(model).values():
        values = np.asarray(variable) + 0.05 * random.standard_normal(variable.shape)
        variable.assign(abs(values) if variable.name == "moving_variance" else values)
    return model


@pytest.fixture(scope="session")
def model():
    found = network()
    found.provenance = Provenance(
        tag="pets", metrics={"top1": 0.75}, licence="MIT", subject=Subject.of(found)
    )
    return found


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of class folders of smooth pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(12):
        coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        (folder / LABELS[number % 3]).mkdir(exist_ok=True)
        picture = Image.fromarray(coarse).resize((40, 48), Image.Resampling.BICUBIC)
        picture.save(folder / LABELS[number % 3] / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def original(model, tmp_path_factory):
    """An export that needs nothing but TensorFlow."""
    folder = tmp_path_factory.mktemp("exports") / "pets"
    export_model(model, folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy of that export, to damage."""
    return shutil.copytree(original, tmp_path / "pets")


def rewrite(folder, **changes):
    """Change values of the sidecar."""
    path = folder / SIDECAR
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
