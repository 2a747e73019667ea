"""The table of families and of the depths they come in. Keras-free, as the names are."""

from __future__ import annotations

from typing import Any

from isozoo.errors import UnknownNameError

#: Stages of a residual network with the CIFAR stem.
CIFAR_STAGES = 3

_VANILLA: dict[str, Any] = {"conv_bias": True}
_ISONET: dict[str, Any] = {
    "activation": "srelu",
    "initializer": "delta",
    "orthogonality": 1e-4,
    "dropout": 0.1,
}
_RESNET: dict[str, Any] = {
    "normalization": "batch",
    "shortcut": "projection",
    "zero_last_gamma": True,
}
# A stage of VGG is blocks whose branch is one convolution, without a shortcut, so that it takes no
# builder of its own. Its convolutions keep their bias also in front of a normalisation, as in the
# notebook on batch normalisation that the family is for.
_VGG: dict[str, Any] = {"initializer": "xavier-normal", "conv_bias": True, "hidden": (96, 96)}

#: What distinguishes each family, as fields of `Architecture`.
FAMILIES: dict[str, dict[str, Any]] = {
    "isonet": _ISONET,
    "r-isonet": {**_ISONET, "shortcut": "projection", "residual_scale": 0.0, "dropout": 0.4},
    "resnet": _RESNET,
    "vanilla": _VANILLA,
    "vanilla-shortcut": {**_VANILLA, "shortcut": "projection"},
    # The authors' code starts the last gamma of each branch at 0 here too, which without a
    # shortcut silences the network and every gradient; 1 is what can train.
    "vanilla-bn": {"normalization": "batch"},
    "fixup": {
        "initializer": "fixup",
        "shortcut": "projection",
        "scalar_biases": True,
        "residual_scale": 1.0,
    },
    "resnet-gn": {**_RESNET, "normalization": "group"},
    "resnet-in": {**_RESNET, "normalization": "instance"},
    "resnet-ln": {**_RESNET, "normalization": "layer"},
    "resnet-bin": {**_RESNET, "normalization": "batch-instance"},
    "vgg": _VGG,
    "vgg-bn": {**_VGG, "normalization": "batch"},
}

#: ImageNet depths: block and number of blocks per stage.
DEPTHS: dict[int, dict[str, Any]] = {
    18: {"block": "basic", "blocks": (2, 2, 2, 2)},
    34: {"block": "basic", "blocks": (3, 4, 6, 3)},
    50: {"block": "bottleneck", "blocks": (3, 4, 6, 3)},
    101: {"block": "bottleneck", "blocks": (3, 4, 23, 3)},
}
CIFAR_DEPTHS = (8, 14, 20, 26, 32, 38, 44, 56, 110)
_VGG_DEPTHS = {13: {"stem": "vgg", "block": "plain", "blocks": (1, 2, 2, 2, 2)}}
#: Depths of the families that come in no others.
OWN_DEPTHS: dict[str, dict[int, dict[str, Any]]] = {"vgg": _VGG_DEPTHS, "vgg-bn": _VGG_DEPTHS}

#: Fields of a family that change with the stem or the depth.
STEM_CHANGES: dict[tuple[str, str], dict[str, Any]] = {("fixup", "cifar"): {"shortcut": "zero-pad"}}
DEPTH_CHANGES: dict[tuple[str, int], dict[str, Any]] = {("isonet", 101): {"orthogonality": 3e-4}}


def usual_depths(family: str) -> list[int]:
    """Return the depths at which a family is listed.

    Example:
        >>> usual_depths("vgg-bn"), usual_depths("isonet")[:3]
        ([13], [8, 14, 18])
    """
    return sorted(OWN_DEPTHS.get(family, (*DEPTHS, *CIFAR_DEPTHS)))


def depth_fields(family: str, depth: int) -> dict[str, Any]:
    """Return the fields of `Architecture` that a depth of a family stands for.

    Raises:
        UnknownNameError: The family does not come in that depth.

    Example:
        >>> depth_fields("isonet", 20)
        {'stem': 'cifar', 'block': 'basic', 'blocks': (3, 3, 3)}
    """
    own = OWN_DEPTHS.get(family)
    if own is not None:
        if depth not in own:
            known = ", ".join(map(str, own))
            raise UnknownNameError(f"{family} has no depth {depth}; known: {known}")
        return own[depth]
    if depth in DEPTHS:
        return {"stem": "imagenet", **DEPTHS[depth]}
    if depth >= 8 and depth % 6 == 2:
        blocks = (depth - 2) // 6
        return {"stem": "cifar", "block": "basic", "blocks": (blocks,) * CIFAR_STAGES}
    raise UnknownNameError(
        f"no architecture has depth {depth}; ImageNet stems come in {sorted(DEPTHS)}, "
        "CIFAR stems in 6n + 2 (8, 14, 20, 26, ...)"
    )
