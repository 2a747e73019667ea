"""The recipe: everything that decides what a training run produces, read from one TOML file."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isozoo import methods
from isozoo.data.augment import Augment
from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import IsozooError, RecipeError, check_fields, unknown
from isozoo.models.architecture import DTYPES, Architecture, architecture
from isozoo.training.settings import (
    AugmentSettings,
    ModelSettings,
    OptimizerSettings,
    PenaltySettings,
    Phase,
    PreprocessingSettings,
    RecoverySettings,
    ScheduleSettings,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run, described completely but for the images themselves.

    Args:
        tag: Name of the resulting weights after the architecture's: `<model>.<tag>`.
        title: One line that says what the run is for; a note, which nothing reads.
        dataset: What the data set is called; a note, too.
        seed: Seed of initialisation, order, augmentation and dropout.
        batch_size: Images per step.
        label_smoothing: Share of each label spread over all classes, in [0, 1).
        cache: Short side in pixels at which decoded training images are kept in memory, and the
            validation images as the network sees them; None for no cache.
        max_damaged: How many damaged images are passed over in each split by all workers together,
            see `isozoo.data.damage`; with 0 the first is an error.
        validate_every: Epochs between validations; the last epoch is always validated.
        jit_compile: Whether the training step is compiled by XLA.
        model: See `ModelSettings`.
        penalty: See `PenaltySettings`.
        optimizer: See `OptimizerSettings`.
        schedule: See `ScheduleSettings`.
        augment: See `AugmentSettings`.
        preprocessing: See `PreprocessingSettings`.
        recovery: See `RecoverySettings`.
        phases: Epochs and image sizes, in order.

    Raises:
        RecipeError: A setting is missing, unknown, of the wrong type or out of range.

    Example:
        >>> recipe = Recipe.from_dict({
        ...     "tag": "demo",
        ...     "model": {"name": "r-isonet-8"},
        ...     "phases": [{"epochs": 2, "size": 32}],
        ... })
        >>> recipe.epochs, recipe.name
        (2, 'r-isonet-8.demo')
    """

    tag: str
    model: ModelSettings
    phases: tuple[Phase, ...]
    title: str = ""
    dataset: str = ""
    seed: int = 0
    batch_size: int = 64
    label_smoothing: float = 0.0
    cache: int | None = None
    max_damaged: int = 10
    validate_every: int = 1
    jit_compile: bool = False
    penalty: PenaltySettings = dataclasses.field(default_factory=PenaltySettings)
    optimizer: OptimizerSettings = dataclasses.field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = dataclasses.field(default_factory=ScheduleSettings)
    augment: AugmentSettings = dataclasses.field(default_factory=AugmentSettings)
    preprocessing: PreprocessingSettings = dataclasses.field(default_factory=PreprocessingSettings)
    recovery: RecoverySettings = dataclasses.field(default_factory=RecoverySettings)

    def __post_init__(self) -> None:
        """Refuse values that cannot be trained with."""
        if not self.phases:
            raise RecipeError("a recipe needs at least one [[phases]] with epochs and size")
        for where, choices in CHOICES.items():
            for value in self._values(where):
                if value not in choices:
                    raise unknown(where.rpartition(".")[2], value, choices)
        for where, least, below in RANGES:
            for value in self._values(where):
                _check_range(where, value, least, below)
        for where in POSITIVE:
            for value in self._values(where):
                if not 0 < value < math.inf:
                    raise RecipeError(
                        f"{where} must be positive, got {value}; leave it out for none"
                    )
        if not re.fullmatch(r"[\w-]*[^\W_][\w-]*", self.tag):
            raise RecipeError(
                f"tag {self.tag!r} must be letters, digits, '-' and '_': it names a folder"
            )
        self._check_schedule()
        with _as_recipe_error("model"):
            self.architecture(classes=1)
        if self.penalty != PenaltySettings() and not self.architecture(classes=1).orthogonality:
            raise RecipeError(
                f"penalty means nothing to {self.model.name}, whose orthogonality is 0; set "
                "model.orthogonality or remove [penalty]"
            )
        with _as_recipe_error("preprocessing"):
            channels = self.preparation().channels
        if channels != self.architecture(classes=1).channels:
            raise RecipeError(
                f"preprocessing.mean and preprocessing.std must have one number for each of red, "
                f"green and blue, got {channels}"
            )
        with _as_recipe_error("augment"):
            self.augmentation(self.phases[0].size)

    def _values(self, where: str) -> list[Any]:
        """Return what is set at a dotted path, each item of a list; nothing where it is None."""
        parts: list[Any] = [self]
        for name in where.split("."):
            values = [getattr(part, name) for part in parts]
            parts = [
                item
                for value in values
                for item in (value if isinstance(value, tuple) else (value,))
            ]
        return [value for value in parts if value is not None]

    def _check_schedule(self) -> None:
        milestones, warmup = self.schedule.milestones, self.schedule.warmup_epochs
        if milestones is not None and list(milestones) != sorted(set(milestones)):
            raise RecipeError(f"schedule.milestones must ascend, got {list(milestones)}")
        if self.schedule.name == "cosine" and warmup is not None and warmup >= self.epochs:
            raise RecipeError(
                f"schedule.warmup_epochs ({warmup}) leaves nothing of the {self.epochs} epochs for "
                "the cosine; shorten it or add epochs"
            )

    def preparation(self) -> Preprocessing:
        """Return how the network wants its pictures."""
        return Preprocessing.from_dict(dataclasses.asdict(self.preprocessing))

    def augmentation(self, size: int) -> Augment:
        """Return how training pictures of a phase's size are varied."""
        return Augment(size=size, **self.augment.given)

    @property
    def name(self) -> str:
        """Name of the weights that the run makes."""
        return f"{self.model.name}.{self.tag}"

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def phase_ranges(self) -> list[tuple[range, int]]:
        """Return, for each phase, its epochs counted from 0 and its image size."""
        ranges, start = [], 0
        for phase in self.phases:
            ranges.append((range(start, start + phase.epochs), phase.size))
            start += phase.epochs
        return ranges

    def architecture(self, classes: int) -> Architecture:
        """Return the description of the network for a number of classes."""
        return architecture(self.model.name, classes=classes, **self.model.changes)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """Build a recipe from nested settings, as TOML gives them."""
        return _build(cls, settings, "recipe")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """Read a TOML file.

        Raises:
            RecipeError: The file is missing, is not TOML or has a setting that is wrong.
        """
        try:
            with open(path, "rb") as stream:
                return cls.from_dict(tomllib.load(stream))
        except FileNotFoundError:
            raise RecipeError(f"no recipe at {path}; see recipes/ for examples") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{Path(path)} is not valid TOML: {error}") from error


#: What the settings may be that are one of several words.
CHOICES: dict[str, tuple[str, ...]] = {
    # Plain float16 is left out: too few digits for a weight to move by its gradient.
    "model.dtype": tuple(dtype for dtype in DTYPES if dtype != "float16"),
    "penalty.method": methods.NAMES,
}
#: Where numbers may lie: setting, smallest value, and the value they stay below, if any.
RANGES: tuple[tuple[str, float, float | None], ...] = (
    ("batch_size", 1, None),
    ("validate_every", 1, None),
    ("seed", 0, None),
    ("cache", 8, None),
    ("max_damaged", 0, None),
    ("label_smoothing", 0, 1),
    ("model.dropout", 0, 1),
    ("penalty.probes", 1, None),
    ("penalty.every", 1, None),
    ("optimizer.learning_rate", 0, None),
    ("optimizer.momentum", 0, 1),
    ("optimizer.weight_decay", 0, None),
    ("schedule.warmup_epochs", 0, None),
    ("schedule.gamma", 0, None),
    ("schedule.milestones", 1, None),
    ("recovery.learning_rate_factor", 0.001, 1),
    ("recovery.rollbacks", 1, None),
    ("recovery.explosion", 1, None),
    ("recovery.patience", 1, None),
    ("phases.epochs", 1, None),
    ("phases.size", 8, None),
)
#: Numbers that 0, or less, would switch off instead of making small.
POSITIVE = ("optimizer.global_clipnorm",)


def _check_range(where: str, value: float, least: float, below: float | None) -> None:
    # Written so that NaN, which compares false with everything, is refused.
    if below is not None and not least <= value < below:
        raise RecipeError(f"{where} must be in [{least}, {below}), got {value}")
    if not least <= value < math.inf:
        raise RecipeError(f"{where} must be at least {least}, got {value}")


@contextlib.contextmanager
def _as_recipe_error(where: str) -> Iterator[None]:
    """Say which settings a value that another room refuses stands in."""
    try:
        yield
    except IsozooError:
        raise
    except ValueError as error:
        raise RecipeError(f"{where}: {error}") from error


def _build(cls: Any, settings: Mapping[str, Any], where: str) -> Any:
    """Build a settings dataclass strictly: every key known, every value of its type."""
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{where} must be a table of settings, got {settings!r}")
    types = typing.get_type_hints(cls)
    check_fields(cls, settings, where, RecipeError)
    return cls(**{key: _convert(types[key], value, key) for key, value in settings.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Return a TOML value as the type a field declares, or say that it is another."""
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, where)
    arguments = typing.get_args(kind)
    if type(None) in arguments:
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _convert(kind, value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where} must be a list, got {value!r}")
        return tuple(_convert(arguments[0], item, where) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RecipeError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value
