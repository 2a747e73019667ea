"""Components put into and taken out of architectures."""

import pytest

from isozoo.diagnostics.components import COMPONENTS, pairs_put_in, sensible, single_changes
from isozoo.models.architecture import architecture

FAMILIES = ("vanilla", "vanilla-shortcut", "vanilla-bn", "resnet", "isonet", "r-isonet")


def named(variants, name):
    return {variant.name: variant.architecture for variant in variants}[name]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_put_in_is_there_and_what_is_taken_out_is_not(family):
    arch = architecture(f"{family}-18")
    for component in COMPONENTS:
        assert component.there(component.put_in(arch))
        assert not component.there(component.take_out(arch))
        assert component.there(arch) == (component.put_in(arch) == arch), component.name


def test_families_are_changes_of_each_other():
    vanilla, isonet = architecture("vanilla-18"), architecture("isonet-18")
    as_isonet = named(pairs_put_in(vanilla), "with SReLU and Delta")
    own = {"family": "isonet", "dropout": 0.1, "orthogonality": 1e-4}
    assert as_isonet.replace(**own) == isonet
    resnet, shortcut = architecture("resnet-18"), architecture("vanilla-shortcut-18")
    plain = named(single_changes(resnet), "without batch normalisation")
    assert plain.replace(family="vanilla-shortcut") == shortcut
    assert (
        named(single_changes(shortcut), "with batch normalisation").replace(family="resnet")
        == resnet
    )


def test_a_scale_of_zero_comes_with_a_shortcut_only():
    vanilla = architecture("vanilla-18")
    assert "with residual scale 0" not in [v.name for v in single_changes(vanilla)]
    pairs = {v.name: v.architecture for v in pairs_put_in(vanilla)}
    assert "with shortcut and residual scale 0" in pairs
    assert all(map(sensible, pairs.values()))
    taken = named(single_changes(architecture("r-isonet-18")), "without shortcut")
    assert (taken.shortcut, taken.residual_scale) == ("none", None)
