"""Architectures: names, the table of families, and values that no network has."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.errors import UnknownNameError
from isozoo.models.architecture import (
    FAMILIES,
    Architecture,
    architecture,
    architecture_names,
    is_architecture_name,
    split_name,
)
from isozoo.models.parts import original_conv_bias, residual_scaling
from tests.models.conftest import RESIDUAL

NAMES = architecture_names()
FIELDS = [field.name for field in dataclasses.fields(Architecture)]


def differences(one: str, other: str) -> dict[str, tuple]:
    """Return the fields in which two networks differ, but for the label."""
    pair = architecture(one), architecture(other)
    values = {field: tuple(getattr(net, field) for net in pair) for field in FIELDS}
    return {key: value for key, value in values.items() if key != "family" and len({*value}) > 1}


def test_names_are_unique_and_each_family_has_its_networks():
    counts = [13 if family in RESIDUAL else 1 for family in FAMILIES]
    assert len(NAMES) == len({*NAMES}) == sum(counts) * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_is_found_again_from_what_it_names(family):
    for name in NAMES:
        if name.startswith(f"{family}-"):
            assert architecture(name).name == name


def test_descriptions_survive_json():
    for name in NAMES:
        described = architecture(name)
        again = Architecture.from_dict(json.loads(json.dumps(described.to_dict())))
        assert again == described
        assert hash(again) == hash(described)


@pytest.mark.parametrize(
    ("depth", "block", "blocks"),
    [
        (18, "basic", (2, 2, 2, 2)),
        (34, "basic", (3, 4, 6, 3)),
        (50, "bottleneck", (3, 4, 6, 3)),
        (101, "bottleneck", (3, 4, 23, 3)),
    ],
)
def test_imagenet_depths_are_the_papers(depth, block, blocks):
    net = architecture(f"isonet-{depth}")
    assert (net.block, net.blocks, net.stem, net.width) == (block, blocks, "imagenet", 64)
    assert (net.image_size, net.classes, net.channels) == (224, 1000, 3)
    # What the number counts: the stem, the convolutions of the branches, the dense layer.
    assert 2 + sum(blocks) * net.branch_layers == depth


@given(st.integers(1, 40).filter(lambda n: n != 8))
def test_cifar_depths_are_6n_plus_2(n):
    net = architecture(f"r-isonet-{6 * n + 2}")
    assert (net.block, net.blocks, net.stem, net.width) == ("basic", (n,) * 3, "cifar", 16)
    assert (net.image_size, net.branch_layers, net.expansion) == (32, 2, 1)


def test_isonet_is_vanilla_with_the_three_changes_of_the_paper():
    assert differences("vanilla-34", "isonet-34") == {
        "activation": ("relu", "srelu"),
        "initializer": ("he", "delta"),
        "orthogonality": (0.0, 1e-4),
        "conv_bias": (True, False),
        "dropout": (0.0, 0.1),
    }


def test_r_isonet_is_isonet_with_shortcuts_that_start_alone():
    assert differences("isonet-50", "r-isonet-50") == {
        "shortcut": ("none", "projection"),
        "residual_scale": (None, 0.0),
        "dropout": (0.1, 0.4),
    }


@pytest.mark.parametrize(
    ("suffix", "normalization"),
    [("gn", "group"), ("in", "instance"), ("ln", "layer"), ("bin", "batch-instance")],
)
def test_the_normalisation_studies_change_the_normalisation_alone(suffix, normalization):
    found = differences("resnet-20", f"resnet-{suffix}-20")
    assert found == {"normalization": ("batch", normalization)}


def test_vanilla_networks_have_what_their_names_say():
    assert differences("vanilla-18", "vanilla-shortcut-18") == {
        "shortcut": ("none", "projection"),
    }
    assert differences("vanilla-18", "vanilla-bn-18") == {
        "normalization": ("none", "batch"),
        "conv_bias": (True, False),
    }


def test_fixup_changes_its_shortcut_with_the_stem():
    assert architecture("fixup-50").shortcut == "projection"
    assert architecture("fixup-56").shortcut == "zero-pad"


def test_the_deepest_isonet_has_a_stronger_penalty():
    assert architecture("isonet-101").orthogonality == 3e-4
    assert architecture("r-isonet-101").orthogonality == 1e-4


def test_a_width_changes_the_width_alone():
    assert differences("resnet-18", "resnet-18-w32") == {"width": (64, 32)}
    assert architecture("resnet-18-w64").name == "resnet-18"


def test_changes_are_applied_and_leave_the_table_alone():
    changed = architecture("isonet-18", classes=10, dropout=0.0)
    assert (changed.classes, changed.dropout) == (10, 0.0)
    assert changed.replace(classes=1000, dropout=0.1) == architecture("isonet-18")


def test_a_description_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError, match="classes"):
        architecture("isonet-18").classes = 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("isonet-81", "no architecture has depth 81; ImageNet stems come in"),
        ("isonet-2", "no architecture has depth 2;"),
        ("vgg-18", "vgg has no depth 18; known: 13"),
        ("isonet_18", "unknown architecture 'isonet_18'; did you mean .*'isonet-18'"),
        ("isonet", "unknown architecture 'isonet'; did you mean"),
        ("isonet-18.imagenet", "unknown architecture 'isonet-18.imagenet'; did you mean"),
        ("isonet-18-w", "unknown architecture 'isonet-18-w'; did you mean"),
        ("", "unknown architecture ''; known: .* See `isozoo list`"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, message):
    with pytest.raises(UnknownNameError, match=message):
        architecture(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": "cifra"}, "unknown stem 'cifra'; did you mean 'cifar'"),
        ({"block": "basics"}, "unknown block 'basics'; did you mean 'basic'"),
        ({"activation": "selus"}, "unknown activation 'selus'; did you mean 'selu' or 'srelu'"),
        ({"activation": ["relu"]}, r"unknown activation '\['relu'\]'"),
        ({"normalization": None}, "unknown normalization 'None'"),
        (
            {"initializer": "dirac"},
            "unknown initializer 'dirac'; known: xavier, xavier-normal, he, orthogonal",
        ),
        ({"shortcut": "identity"}, "unknown shortcut 'identity'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"orthogonality": -1.0}, r"orthogonality must be at least 0, got -1.0"),
        ({"orthogonality": math.nan}, "orthogonality must be at least 0, got nan"),
        ({"blocks": ()}, r"blocks must be one positive number per stage, got \(\)"),
        ({"blocks": [2, 0]}, r"blocks must be one positive number per stage, got \(2, 0\)"),
        ({"hidden": (96, 0)}, r"hidden must be positive numbers of units, got \(96, 0\)"),
        ({"hidden": 96}, "hidden must be whole numbers, got 96"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"width": 32.0}, "width must be a whole number, got 32.0"),
        ({"classes": True}, "classes must be a whole number, got True"),
        ({"classes": "10"}, "classes must be a whole number, got '10'"),
        ({"depth": None}, "depth must be a whole number, got None"),
        ({"blocks": (2, 2.0)}, r"blocks must be whole numbers, got \(2, 2.0\)"),
        ({"blocks": 2}, "blocks must be whole numbers, got 2"),
        ({"conv_bias": 1}, "conv_bias must be True or False, got 1"),
        ({"zero_last_gamma": "no"}, "zero_last_gamma must be True or False, got 'no'"),
        ({"dropout": "0.5"}, "dropout must be a number, got '0.5'"),
        ({"dropout": False}, "dropout must be a number, got False"),
        ({"dropout": math.nan}, r"dropout must be in \[0, 1\), got nan"),
        ({"orthogonality": math.inf}, "orthogonality must be at least 0, got inf"),
        ({"residual_scale": "one"}, "residual_scale must be a number or None, got 'one'"),
        ({"residual_scale": math.inf}, "residual_scale must be finite, got inf"),
        ({"residual_scale_trainable": False}, "a constant of the residual_scale, which is None"),
        ({"family": 3}, "family must be a text, got 3"),
    ],
)
def test_values_that_no_network_has_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        architecture("isonet-18", **changes)


@pytest.mark.parametrize(
    ("field", "asked", "found"),
    [("activation", "swish", "silu"), ("initializer", "kaiming", "he")],
)
def test_a_second_name_means_the_first(field, asked, found):
    described = architecture("isonet-8", **{field: asked})
    assert described == architecture("isonet-8", **{field: found})
    assert getattr(described, field) == found


@pytest.mark.parametrize(
    ("scaling", "fields"),
    [
        ("1", (1.0, False)),
        ("0", (0.0, False)),
        ("0.1", (0.1, False)),
        ("1/sqrt(L)", (0.25, False)),
        ("learned", (0.0, True)),
    ],
)
def test_residual_scalings_of_sixteen_branches(scaling, fields):
    net = architecture("r-isonet-50")
    assert net.branches == 16
    changed = net.replace(**residual_scaling(scaling, net.branches))
    assert (changed.residual_scale, changed.residual_scale_trainable) == fields
    assert (changed == net) == (scaling == "learned")


def test_an_unknown_scaling_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown residual scaling '1/sqrt'; did you mean"):
        residual_scaling("1/sqrt", 16)


def test_the_families_have_the_biases_of_the_authors():
    for family in RESIDUAL:
        net = architecture(f"{family}-18")
        if not net.scalar_biases:  # Fixup's own
            assert net.conv_bias == original_conv_bias(net.normalization, net.activation), family


def test_records_of_before_a_field_was_there_mean_its_default():
    record = architecture("r-isonet-18").to_dict()
    del record["residual_scale_trainable"], record["hidden"]
    assert Architecture.from_dict(record) == architecture("r-isonet-18")


def test_numpys_numbers_become_pythons():
    described = architecture(
        "isonet-8", classes=np.int64(10), dropout=np.float32(0.5), blocks=np.array([1, 2, 1])
    )
    assert described == architecture("isonet-8", classes=10, dropout=0.5, blocks=(1, 2, 1))
    json.dumps(described.to_dict())
    assert type(architecture("isonet-8", dropout=0).dropout) is float


def test_names_beyond_the_listed_ones_are_known():
    assert "isonet-62" not in NAMES
    assert is_architecture_name("isonet-62")
    assert is_architecture_name("resnet-18-w48")
    others = ("isonet-63", "isonet-018", "isonet-18-w0", "isonet-18-w032", "isonet-18.a", "isonet")
    assert not any(is_architecture_name(name) for name in others)


def test_records_with_other_fields_are_refused():
    record = architecture("isonet-18").to_dict()
    with pytest.raises(ValueError, match=r"unknown architecture fields \['colour'\]; known: \["):
        Architecture.from_dict({**record, "colour": "red"})
    del record["stem"]
    with pytest.raises(ValueError, match=r"incomplete architecture record: .*'stem'"):
        Architecture.from_dict(record)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("isonet-18", ("isonet-18", None)),
        ("isonet-18.imagenet", ("isonet-18", "imagenet")),
        ("isonet-18.a.b", ("isonet-18", "a.b")),
        ("isonet-18.", ("isonet-18", None)),
    ],
)
def test_a_name_ends_where_its_tag_begins(name, parts):
    assert split_name(name) == parts
