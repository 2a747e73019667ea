"""One frozen value that fully describes a network, found by its name.

Keras-free, so that names can be listed and records read without importing a backend.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from isozoo.errors import unknown
from isozoo.models.families import (
    DEPTH_CHANGES,
    STEM_CHANGES,
    depth_fields,
    usual_depths,
)
from isozoo.models.families import DEPTHS as DEPTHS
from isozoo.models.families import FAMILIES as FAMILIES
from isozoo.models.kinds import KINDS
from isozoo.models.parts import ALIASES, PARTS, PIECES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A convolutional classification network, described completely.

    Args:
        family: Row of `FAMILIES` that the value was made from; a label, not a switch.
        depth: Number of layers with weights on the longest path, as the papers count it.
        stem: `"imagenet"`, a 7x7 convolution of stride 2 and a max-pool; `"cifar"`, one 3x3; or
            `"vgg"`, the same, four times as wide.
        width: Channels of the stem; of the stages, see `stage_widths`.
        block: `"basic"`, two 3x3 convolutions; `"bottleneck"`, 1x1, 3x3 (strided), 1x1; or
            `"plain"`, one 3x3, each stage of which ends in a 2x2 max-pool and has no stride.
        blocks: Blocks of each stage.
        normalization: After every convolution, see `isozoo.models.parts.PARTS`.
        activation: After every convolution and every sum, see `PARTS`.
        initializer: Of the convolutions, see `PARTS`. `"delta"` and `"delta-orthogonal"` leave the
            7x7 stem to PyTorch's default, as `"fixup"` leaves every stem.
        shortcut: Around each branch, see `PARTS`.
        conv_bias: Whether convolutions have a bias.
        scalar_biases: Fixup's single-number biases before convolutions and activations.
        residual_scale: Initial value of the scalar that ends each branch; None for no scalar.
        residual_scale_trainable: Whether that scalar is learned; otherwise it is a constant.
        zero_last_gamma: Whether the last normalisation of each branch starts at scale 0.
        dropout: Probability of dropping a pooled feature, in [0, 1).
        orthogonality: Factor of the orthogonality penalty in the loss, at least 0.
        hidden: Units of the dense layers between the pooled features and the classifier.
        classes: Outputs of the classifier.
        channels: Channels of the input images.

    Raises:
        ValueError: A value is of another type than its field, or out of its range. Whole numbers
            of NumPy count as whole numbers, and become Python's own.

    Example:
        >>> net = architecture("r-isonet-50")
        >>> net.blocks, net.block, net.name
        ((3, 4, 6, 3), 'bottleneck', 'r-isonet-50')
    """

    family: str
    depth: int
    stem: str
    width: int
    block: str
    blocks: tuple[int, ...]
    normalization: str = "none"
    activation: str = "relu"
    initializer: str = "he"
    shortcut: str = "none"
    conv_bias: bool = False
    scalar_biases: bool = False
    residual_scale: float | None = None
    residual_scale_trainable: bool = True
    zero_last_gamma: bool = False
    dropout: float = 0.0
    orthogonality: float = 0.0
    hidden: tuple[int, ...] = ()
    classes: int = 1000
    channels: int = 3

    def __post_init__(self) -> None:
        """Refuse values that no network has."""
        for field, choices in CHOICES.items():
            value = getattr(self, field)
            value = ALIASES.get(field, {}).get(str(value), value)
            object.__setattr__(self, field, value)
            if value not in choices:
                raise unknown(field, str(value), choices)
        for field in dataclasses.fields(self):
            kind, convert = KINDS[str(field.type)]
            value = getattr(self, field.name)
            try:
                object.__setattr__(self, field.name, convert(value))
            except (TypeError, ValueError):
                raise ValueError(f"{field.name} must be {kind}, got {value!r}") from None
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not 0.0 <= self.orthogonality < math.inf:
            raise ValueError(f"orthogonality must be at least 0, got {self.orthogonality}")
        if self.residual_scale is not None and not math.isfinite(self.residual_scale):
            raise ValueError(f"residual_scale must be finite, got {self.residual_scale}")
        if self.residual_scale is None and not self.residual_scale_trainable:
            raise ValueError(
                "residual_scale_trainable=False makes a constant of the residual_scale, which is "
                "None; give it a number"
            )
        if not self.blocks or min(self.blocks) < 1:
            raise ValueError(f"blocks must be one positive number per stage, got {self.blocks}")
        if min(self.hidden, default=1) < 1:
            raise ValueError(f"hidden must be positive numbers of units, got {self.hidden}")
        for field in ("depth", "width", "classes", "channels"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, got {getattr(self, field)}")

    @property
    def name(self) -> str:
        """`family-depth`, with the width where it is not the stem's usual one."""
        variant = "" if self.width == STEM_WIDTHS[self.stem] else f"-w{self.width}"
        return f"{self.family}-{self.depth}{variant}"

    @property
    def expansion(self) -> int:
        """Output channels of a block per inner channel."""
        return EXPANSIONS[self.block]

    @property
    def branch_layers(self) -> int:
        """Convolutions in each residual branch."""
        return BRANCH_LAYERS[self.block]

    @property
    def branches(self) -> int:
        """Residual branches of the network, the L of the papers."""
        return sum(self.blocks)

    @property
    def pieces(self) -> int:
        """Numbers that the activation makes one of: 2 for Maxout, else 1."""
        return PIECES.get(self.activation, 1)

    @property
    def pooled(self) -> bool:
        """Whether each stage ends in a max-pool, where others begin with a stride."""
        return self.block in MOST_DOUBLINGS

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Inner channels of the blocks of each stage, twice those of the stage before.

        Example:
            >>> architecture("vgg-13").stage_widths
            (64, 128, 256, 512, 512)
        """
        most = MOST_DOUBLINGS.get(self.block, len(self.blocks))
        return tuple(self.width * 2 ** min(stage, most) for stage in range(len(self.blocks)))

    @property
    def features(self) -> int:
        """Channels of the last feature map, which the classifier takes."""
        return self.stage_widths[-1] * self.expansion

    @property
    def image_size(self) -> int:
        """Side in pixels of the images the original network was trained on."""
        return IMAGE_SIZES[self.stem]

    def replace(self, **changes: Any) -> Architecture:
        """Return a copy with the named fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**dataclasses.asdict(self), "blocks": list(self.blocks), "hidden": [*self.hidden]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Architecture:
        """Build the value from `to_dict`'s result.

        Raises:
            ValueError: A field is missing or unknown.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        extra = sorted(set(fields) - set(names))
        if extra:
            raise ValueError(f"unknown architecture fields {extra}; known: {names}")
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"incomplete architecture record: {error}") from error


STEM_WIDTHS = {"imagenet": 64, "cifar": 16, "vgg": 64}
IMAGE_SIZES = {"imagenet": 224, "cifar": 32, "vgg": 32}
EXPANSIONS = {"basic": 1, "bottleneck": 4, "plain": 1}
BRANCH_LAYERS = {"basic": 2, "bottleneck": 3, "plain": 1}
#: How often the width doubles at most, by the blocks whose stages end in a max-pool: VGG's stages
#: are 64, 128, 256, 512 and 512 wide.
MOST_DOUBLINGS = {"plain": 3}
CHOICES: dict[str, tuple[str, ...]] = {
    "stem": tuple(STEM_WIDTHS),
    "block": tuple(EXPANSIONS),
    **{field: tuple(values) for field, values in PARTS.items()},
}

#: What Keras calls the precisions that a network can compute in; in the mixed ones the variables
#: stay float32.
DTYPES = ("float32", "float64", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")

VARIANT_WIDTHS = (32,)
_NAME = re.compile(r"(?P<family>[a-z]+(?:-[a-z]+)*)-(?P<depth>[1-9]\d*)(?:-w(?P<width>[1-9]\d*))?")


def split_name(name: str) -> tuple[str, str | None]:
    """Split `architecture.tag` into its parts.

    Example:
        >>> split_name("r-isonet-18-w32.imagenette")
        ('r-isonet-18-w32', 'imagenette')
        >>> split_name("isonet-50")
        ('isonet-50', None)
    """
    base, _, tag = name.partition(".")
    return base, tag or None


def architecture_names() -> list[str]:
    """Return the names that are listed: each family at each usual depth, and the `-w32` variants.

    `architecture` builds other depths `6n + 2` and other widths as well.

    Example:
        >>> "r-isonet-101" in architecture_names(), "fixup-20" in architecture_names()
        (True, True)
    """
    widths = ["", *(f"-w{width}" for width in VARIANT_WIDTHS)]
    return [
        f"{family}-{depth}{width}"
        for family in FAMILIES
        for depth in usual_depths(family)
        for width in widths
    ]


def is_architecture_name(name: str) -> bool:
    """Return whether `architecture` knows a name, listed or not.

    Example:
        >>> is_architecture_name("isonet-62"), is_architecture_name("isonet-18.imagenet")
        (True, False)
    """
    try:
        architecture(name)
    except ValueError:
        return False
    return True


def architecture(name: str, **changes: Any) -> Architecture:
    """Return the description of a network by its name.

    Args:
        name: `family-depth`, optionally with `-w32` for half (ImageNet) or double (CIFAR) the
            usual width, or another `-wN`. Depth 18, 34, 50 and 101 have the ImageNet stem; others
            must be 6n + 2 and have the CIFAR stem. A `.tag` is not part of an architecture's name.
        changes: Fields of `Architecture` to change, such as `classes=10` or `dropout=0.1`.

    Returns:
        The frozen description.

    Raises:
        UnknownNameError: No such family or depth; the nearest names are given.

    Example:
        >>> architecture("isonet-18", classes=10).activation
        'srelu'
        >>> architecture("r-isonet-20").blocks
        (3, 3, 3)
    """
    match = _NAME.fullmatch(name)
    if match is None or match["family"] not in FAMILIES:
        raise unknown("architecture", name, architecture_names(), "See `isozoo list`.")
    family, depth = match["family"], int(match["depth"])
    fields = {"family": family, "depth": depth, **depth_fields(family, depth), **FAMILIES[family]}
    fields |= STEM_CHANGES.get((family, fields["stem"]), {})
    fields |= DEPTH_CHANGES.get((family, depth), {})
    fields["width"] = int(match["width"] or STEM_WIDTHS[fields["stem"]])
    return Architecture(**{**fields, **changes})
