"""The tables of a recipe: what is trained, how, and on which views of the images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from isozoo.errors import RecipeError, unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """What is trained: an architecture's name and the fields changed for this run.

    All but `name` and `dtype` are fields of `isozoo.models.Architecture`; left out, each is what
    the named network has.

    Example:
        >>> ModelSettings(name="isonet-18", activation="relu", conv_bias=True).changes
        {'activation': 'relu', 'conv_bias': True}
    """

    name: str
    normalization: str | None = None
    activation: str | None = None
    initializer: str | None = None
    shortcut: str | None = None
    conv_bias: bool | None = None
    scalar_biases: bool | None = None
    residual_scale: float | None = None
    residual_scale_trainable: bool | None = None
    zero_last_gamma: bool | None = None
    hidden: tuple[int, ...] | None = None
    dropout: float | None = None
    orthogonality: float | None = None
    dtype: str = "float32"

    @property
    def changes(self) -> dict[str, Any]:
        """The fields of the architecture that are changed."""
        settings = dataclasses.asdict(self)
        del settings["name"], settings["dtype"]
        return {name: value for name, value in settings.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PenaltySettings:
    """How the penalty that the model's `orthogonality` weighs is computed.

    See `isozoo.regularizers.set_penalty`. By default it is exact and computed on every step.
    """

    method: str | None = None
    probes: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        """Refuse a number of probes where there are none."""
        if self.probes is not None and self.method != "probe":
            raise RecipeError(
                "penalty.probes means nothing without penalty.method = 'probe'; remove it or set "
                "the method"
            )


#: The optimisers, and the settings that only they have, with their defaults.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "nesterov": False},
    "adamw": {},
}
#: The schedules, likewise.
SCHEDULES: dict[str, dict[str, Any]] = {
    "milestones": {"warmup_epochs": 5, "milestones": (30, 60, 90), "gamma": 0.1},
    "cosine": {"warmup_epochs": 5},
    "constant": {},
}


#: What may be done about a loss that is not finite or explodes, likewise.
ON_NAN: dict[str, dict[str, Any]] = {
    "stop": {},
    "rollback": {"learning_rate_factor": 0.5, "rollbacks": 3},
}


def _complete(
    settings: Any, kind: str, table: Mapping[str, Mapping[str, Any]], choice: str = "name"
) -> None:
    """Give settings their name's own defaults, and refuse what only other names have."""
    chosen = getattr(settings, choice)
    if chosen not in table:
        raise unknown(kind, chosen, table)
    own = table[chosen]
    for field in dict.fromkeys(field for row in table.values() for field in row):
        if getattr(settings, field) is None:
            object.__setattr__(settings, field, own.get(field))
        elif field not in own:
            readers = " and ".join(f"'{name}'" for name, row in table.items() if field in row)
            raise RecipeError(
                f"{kind}.{field} means nothing to the {kind} '{chosen}', only to {readers}; "
                "remove it or choose another"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """How weights move; `weight_decay` is coupled for `sgd` and decoupled for `adamw`.

    `momentum` and `nesterov` are of `OPTIMIZERS["sgd"]` alone: left out they have its defaults, and
    given to another optimiser they are an error.
    """

    name: str = "sgd"
    learning_rate: float = 0.1
    momentum: float | None = None
    nesterov: bool | None = None
    weight_decay: float = 1e-4
    global_clipnorm: float | None = None

    def __post_init__(self) -> None:
        """Fill in the optimiser's own settings, refuse those of others."""
        _complete(self, "optimizer", OPTIMIZERS)

    @property
    def own(self) -> dict[str, Any]:
        """The settings that only this optimiser has."""
        return {name: getattr(self, name) for name in OPTIMIZERS[self.name]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How the learning rate changes: `milestones` (the paper's), `cosine` or `constant`.

    What each can be told, and the defaults, are in `SCHEDULES`; what it cannot be told is an error.
    """

    name: str = "milestones"
    warmup_epochs: int | None = None
    milestones: tuple[int, ...] | None = None
    gamma: float | None = None

    def __post_init__(self) -> None:
        """Fill in the schedule's own settings, refuse those of others."""
        _complete(self, "schedule", SCHEDULES)

    @property
    def own(self) -> dict[str, Any]:
        """The settings that only this schedule has."""
        return {name: getattr(self, name) for name in SCHEDULES[self.name]}


#: What decides the resized box of a training image, with its defaults.
BOX: dict[str, tuple[float, float]] = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How training images are varied; see `isozoo.data.Augment`.

    `scale` and `ratio` are of the resized box: left out they have the defaults in `BOX`, and given
    together with `crop_padding`, which resizes nothing, they are an error. `magnitude` is that of
    the `randaugment` operations, 9 if left out, and nothing without them. What is left out of
    `cutmix`, `randaugment` and `erasing` is not done.
    """

    scale: tuple[float, ...] | None = None
    ratio: tuple[float, ...] | None = None
    flip: bool = True
    mixup: float = 0.0
    crop_padding: int | None = None
    cutmix: float | None = None
    randaugment: int | None = None
    magnitude: float | None = None
    erasing: float | None = None

    def __post_init__(self) -> None:
        """Fill in the box, refuse one that is not used or is not made of pairs."""
        if self.magnitude is not None and not self.randaugment:
            raise RecipeError(
                "augment.magnitude means nothing without augment.randaugment; remove it or say how "
                "many operations"
            )
        for name, default in BOX.items():
            value = getattr(self, name)
            if value is not None and self.crop_padding is not None:
                raise RecipeError(
                    f"augment.{name} means nothing together with augment.crop_padding, which cuts "
                    "without resizing; remove one of them"
                )
            if value is not None and len(value) != 2:
                raise RecipeError(f"augment.{name} must be two numbers, got {value}")
            if value is None and self.crop_padding is None:
                object.__setattr__(self, name, default)

    @property
    def given(self) -> dict[str, Any]:
        """The settings that are not left out, as the arguments of `Augment`."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        given |= {name: tuple(given[name]) for name in BOX if given[name] is not None}
        return {name: value for name, value in given.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessingSettings:
    """How images are prepared for validation and use; see `isozoo.data.Preprocessing`."""

    resize: int = 256
    size: int = 224
    interpolation: str = "bilinear"
    antialias: bool = True
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecoverySettings:
    """What is done about a loss that is NaN, infinite or explodes.

    With `on_nan = "stop"` training stops with an error. With `"rollback"` it goes back to the last
    good checkpoint, multiplies the learning rate by `learning_rate_factor` from there on and tries
    again, `rollbacks` times at most in a run.

    A loss explodes if it is above `explosion` times the median of the 100 losses before, for
    `patience` steps in a row (10 if left out). Left out, no finite loss does: what is much for one
    run is the warm-up of another.
    """

    on_nan: str = "stop"
    learning_rate_factor: float | None = None
    rollbacks: int | None = None
    explosion: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        """Fill in what the choice has of its own, refuse what would do nothing."""
        _complete(self, "recovery", ON_NAN, "on_nan")
        if self.explosion is None and self.patience is not None:
            raise RecipeError(
                "recovery.patience means nothing without recovery.explosion; remove it or say "
                "above how many times the median a loss explodes"
            )
        if self.explosion is not None and self.patience is None:
            object.__setattr__(self, "patience", 10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A number of epochs at one image size: several of them are progressive resizing."""

    epochs: int
    size: int
