"""A small zoo of two weights folders, and a catalog that speaks of them."""

import numpy as np
import pytest

import isozoo
from isozoo.models.folder import write_folder
from isozoo.models.variables import named_variables
from isozoo.zoo import catalog, locating


def small_network(labels=("cat", "dog", "owl")):
    model = isozoo.create("r-isonet-8", labels=labels)
    random = np.random.default_rng(0)
    for variable in named_variables(model).values():
        variable.assign(0.1 * random.standard_normal(variable.shape))
    return model


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A folder that holds the weights of one network under two tags."""
    place = tmp_path_factory.mktemp("weights")
    log = [{"epoch": 1, "loss": 2.0}]
    for tag, top1 in (("pets", 0.5), ("imagenette", 0.75)):
        write_folder(
            small_network(),
            place / f"r-isonet-8.{tag}",
            tag=tag,
            metrics={"top1": top1, "top5": 1.0, "images": 20},
            licence="MIT",
            recipe=f'tag = "{tag}"\n',
            log=log,
        )
    return place


@pytest.fixture
def zoo(weights, tmp_path, monkeypatch):
    """The catalog and the places to look in, replaced by those of the small zoo."""
    for name in ("RELEASES", "PINS"):
        monkeypatch.setattr(catalog, name, tmp_path / f"{name.lower()}.json")
    path = tmp_path / "catalog.json"
    path.write_text(catalog.build_catalog(weights))
    monkeypatch.setattr(catalog, "CATALOG", path)
    monkeypatch.setattr(catalog, "WEIGHTS", weights)
    monkeypatch.setattr(locating, "PLACES", (tmp_path / "bundled", weights))
    return weights
