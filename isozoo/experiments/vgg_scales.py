"""How large the study of VGG is. Keras-free, so that it can be listed."""

from __future__ import annotations

import copy
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isozoo.errors import ExperimentError, check_fields
from isozoo.training.recipe import Recipe

_SCALES = Path(__file__).with_name("vgg.toml")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """How the study is done.

    Args:
        about: What is particular to it, in a sentence.
        dataset: Name of the data set, which `open_split` finds.
        networks: The network without batch normalisation, and the one with it.
        every: Training steps between two measurements; the first is at half as many.
        landscape_points: Points of each side of the landscape.
        landscape_images: Validation images that it is computed of.
        recipe: Settings of the recipe but for the network's name.
    """

    about: str
    dataset: str
    networks: tuple[str, str]
    every: int
    landscape_points: int
    landscape_images: int
    recipe: Mapping[str, Any]

    def recipe_of(self, network: str) -> Recipe:
        """Return the recipe of one of the networks.

        Example:
            >>> scales()["notebook"].recipe_of("vgg-bn-13").optimizer.learning_rate
            0.035
        """
        settings = copy.deepcopy(dict(self.recipe))
        settings["model"] = {**settings.get("model", {}), "name": network}
        return Recipe.from_dict(settings)


def scales() -> dict[str, Scale]:
    """Return the scales of the study by name.

    Example:
        >>> list(scales())
        ['notebook', 'small']
    """
    found = {}
    for name, fields in tomllib.loads(_SCALES.read_text("utf-8")).items():
        check_fields(Scale, fields, f"vgg.toml, {name}", ExperimentError)
        found[name] = Scale(**{**fields, "networks": tuple(fields["networks"])})
    return found
