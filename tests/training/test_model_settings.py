"""The `[model]` table: any part of an architecture can be another for one run."""

import dataclasses

import pytest

from isozoo.models.architecture import Architecture, architecture
from isozoo.training import Recipe
from isozoo.training.settings import ModelSettings


def recipe(**model) -> Recipe:
    return Recipe.from_dict({"tag": "demo", "model": model, "phases": [{"epochs": 1, "size": 32}]})


def test_every_part_of_an_architecture_can_be_changed():
    # What the name says is not a part, and classes and channels are the data's.
    parts = {
        field.name: field.type
        for field in dataclasses.fields(Architecture)
        if field.default is not dataclasses.MISSING and field.name not in ("classes", "channels")
    }
    settings = {field.name: str(field.type) for field in dataclasses.fields(ModelSettings)}
    assert settings.keys() - parts.keys() == {"name", "dtype"}
    for name, kind in parts.items():
        assert settings[name] == f"{str(kind).removesuffix(' | None')} | None"
        assert getattr(ModelSettings(name="isonet-8"), name) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "relu", "conv_bias": True, "orthogonality": 0.0},
        {"initializer": "he", "normalization": "group", "zero_last_gamma": True},
        {"shortcut": "zero-pad", "scalar_biases": True, "residual_scale": 0.25},
        {"hidden": (8, 4)},
    ],
)
def test_what_is_left_out_is_the_familys(changes):
    described = recipe(name="isonet-8", dtype="bfloat16", **changes).architecture(classes=7)
    assert described == architecture("isonet-8", classes=7, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "srelus"}, "unknown activation 'srelus'; did you mean 'srelu'"),
        ({"conv_bias": 1}, "conv_bias must be of type bool, got 1"),
        ({"residual_scale": float("inf")}, "model: residual_scale must be finite, got inf"),
        ({"width": 32}, "unknown setting in model 'width'"),
    ],
)
def test_wrong_parts_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(name="isonet-8", **changes)
