"""sizes.json: complete, fresh, and the authors' numbers."""

import json
import sys

import pytest

from isozoo.models import architecture, architecture_names
from isozoo.models.classifier import Classifier
from isozoo.models.sizes import measure, multiply_adds
from isozoo.models.variables import parameter_count
from tests.models.conftest import RESIDUAL

#: Parameters measured on the authors' code, and torchvision's of the ResNets; 1000 classes.
PARAMETERS = {
    "isonet-18": 11_511_784,
    "isonet-34": 21_616_232,
    "isonet-50": 22_757_736,
    "isonet-101": 41_723_752,
    "r-isonet-18": 11_683_824,
    "r-isonet-34": 21_788_280,
    "r-isonet-50": 25_526_648,
    "r-isonet-101": 44_492_681,
    "resnet-18": 11_689_512,
    "resnet-34": 21_797_672,
    "resnet-50": 25_557_032,
    "resnet-101": 44_549_160,
    "vanilla-18": 11_511_784,
    "vanilla-34": 21_616_232,
    "vanilla-bn-18": 11_515_688,
    "vanilla-shortcut-18": 11_684_712,
    "fixup-18": 11_679_954,
    "fixup-50": 25_504_026,
}
#: The same with the 10 classes of CIFAR-10.
CIFAR_PARAMETERS = {"isonet-20": 269_034, "r-isonet-20": 271_603, "fixup-20": 268_393}
#: Thousand million multiply-adds, as torchvision's documentation gives them.
GFLOPS = {"resnet-18": 1.814, "resnet-34": 3.664, "resnet-50": 4.089, "resnet-101": 7.801}

QUICK = [*(f"{family}-8" for family in RESIDUAL), "resnet-50-w32", "r-isonet-18-w32"]


@pytest.fixture
def tool(root, monkeypatch):
    """The module that writes sizes.json."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.delitem(sys.modules, "model_sizes", raising=False)
    import model_sizes

    return model_sizes


@pytest.fixture(scope="module")
def sizes(root):
    return json.loads((root / "isozoo/models/sizes.json").read_text())


def test_every_architecture_has_a_size(sizes):
    assert list(sizes) == architecture_names()
    assert {frozenset(entry) for entry in sizes.values()} == {frozenset({"parameters", "gflops"})}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_authors(sizes, name):
    assert sizes[name]["parameters"] == PARAMETERS[name]
    assert measure(name) == sizes[name]


@pytest.mark.parametrize("name", CIFAR_PARAMETERS)
def test_parameters_for_cifar_10_are_the_authors(sizes, name):
    model = Classifier(architecture(name, classes=10))
    assert parameter_count(model) == CIFAR_PARAMETERS[name]
    assert sizes[name]["parameters"] - CIFAR_PARAMETERS[name] == 990 * (64 + 1)


@pytest.mark.parametrize("name", GFLOPS)
def test_multiply_adds_are_torchvisions(sizes, name):
    assert round(sizes[name]["gflops"], 3) == GFLOPS[name]


@pytest.mark.parametrize("name", QUICK)
def test_building_a_network_gives_its_size_again(sizes, name):
    assert measure(name) == sizes[name]


def test_a_network_that_is_really_built_has_the_same_size(sizes):
    model = Classifier(architecture("r-isonet-14"), input_shape=(32, 32, 3))
    assert parameter_count(model) == sizes["r-isonet-14"]["parameters"]
    assert multiply_adds(model) / 1e9 == sizes["r-isonet-14"]["gflops"]


@pytest.mark.slow
def test_the_whole_file_is_fresh(tool, root):
    assert (root / "isozoo/models/sizes.json").read_text() == tool.table(), (
        "run python tools/model_sizes.py"
    )
