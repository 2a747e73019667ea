"""The recipe: everything that decides what a training run produces, read from one TOML file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isozoo.data.augment import Augment
from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import IsozooError, RecipeError, unknown
from isozoo.models.architecture import Architecture, architecture


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """What is trained: an architecture's name and the fields changed for this run."""

    name: str
    dropout: float | None = None
    orthogonality: float | None = None
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """How weights move; `weight_decay` is coupled for `sgd` and decoupled for `adamw`."""

    name: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    global_clipnorm: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How the learning rate changes: `milestones` (the paper's), `cosine` or `constant`."""

    name: str = "milestones"
    warmup_epochs: int = 5
    milestones: tuple[int, ...] = (30, 60, 90)
    gamma: float = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How training images are varied; see `isozoo.data.Augment`."""

    scale: tuple[float, ...] = (0.08, 1.0)
    ratio: tuple[float, ...] = (3 / 4, 4 / 3)
    flip: bool = True
    mixup: float = 0.0
    crop_padding: int | None = None


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
class Phase:
    """A number of epochs at one image size: several of them are progressive resizing."""

    epochs: int
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run, described completely but for the images themselves.

    Args:
        title: One line that says what the run is for; for the reader.
        tag: Name of the resulting weights after the architecture's: `<model>.<tag>`.
        dataset: What the data set is called; for the reader.
        seed: Seed of initialisation, order, augmentation and dropout.
        batch_size: Images per step.
        label_smoothing: Share of each label spread over all classes, in [0, 1).
        cache: Short side in pixels at which decoded training images are kept in memory; None for no
            cache.
        validate_every: Epochs between validations; the last epoch is always validated.
        jit_compile: Whether the training step is compiled by XLA.
        model: See `ModelSettings`.
        optimizer: See `OptimizerSettings`.
        schedule: See `ScheduleSettings`.
        augment: See `AugmentSettings`.
        preprocessing: See `PreprocessingSettings`.
        phases: Epochs and image sizes, in order.

    Raises:
        RecipeError: A setting is missing, unknown, of the wrong type or out of range.

    Example:
        >>> recipe = Recipe.from_dict({
        ...     "tag": "demo",
        ...     "dataset": "demo",
        ...     "model": {"name": "r-isonet-8"},
        ...     "phases": [{"epochs": 2, "size": 32}],
        ... })
        >>> recipe.epochs, recipe.name
        (2, 'r-isonet-8.demo')
    """

    tag: str
    dataset: str
    model: ModelSettings
    phases: tuple[Phase, ...]
    title: str = ""
    seed: int = 0
    batch_size: int = 64
    label_smoothing: float = 0.0
    cache: int | None = None
    validate_every: int = 1
    jit_compile: bool = False
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()

    def __post_init__(self) -> None:
        """Refuse values that cannot be trained with."""
        if not self.phases:
            raise RecipeError("a recipe needs at least one [[phases]] with epochs and size")
        for settings, field, least in LEAST:
            for part in getattr(self, settings) if settings == "phases" else [self._part(settings)]:
                value = getattr(part, field)
                if value is not None and value < least:
                    where = f"{settings}.{field}" if settings else field
                    raise RecipeError(f"{where} must be at least {least}, got {value}")
        for name, value in (
            ("label_smoothing", self.label_smoothing),
            ("model.dropout", self.model.dropout or 0.0),
            ("optimizer.momentum", self.optimizer.momentum),
        ):
            if not 0.0 <= value < 1.0:
                raise RecipeError(f"{name} must be in [0, 1), got {value}")
        if not self.tag or not self.tag.replace("-", "").replace("_", "").isalnum():
            raise RecipeError(
                f"tag {self.tag!r} must be letters, digits, '-' and '_': it names a folder"
            )
        for choices, name, kind in (
            (OPTIMIZERS, self.optimizer.name, "optimizer"),
            (SCHEDULES, self.schedule.name, "schedule"),
            (DTYPES, self.model.dtype, "dtype"),
        ):
            if name not in choices:
                raise unknown(kind, name, choices)
        self._check_schedule()
        with _as_recipe_error("model"):
            self.architecture(classes=1)
        with _as_recipe_error("preprocessing"):
            self.preparation()
        with _as_recipe_error("augment"):
            self.augmentation(self.phases[0].size)

    def _part(self, settings: str) -> Any:
        return getattr(self, settings) if settings else self

    def _check_schedule(self) -> None:
        milestones = self.schedule.milestones
        if list(milestones) != sorted(set(milestones)):
            raise RecipeError(f"schedule.milestones must ascend, got {list(milestones)}")
        if self.schedule.name == "cosine" and self.schedule.warmup_epochs >= self.epochs:
            raise RecipeError(
                f"schedule.warmup_epochs ({self.schedule.warmup_epochs}) leaves nothing of the "
                f"{self.epochs} epochs for the cosine; shorten it or add epochs"
            )

    def preparation(self) -> Preprocessing:
        """Return how the network wants its pictures."""
        return Preprocessing.from_dict(dataclasses.asdict(self.preprocessing))

    def augmentation(self, size: int) -> Augment:
        """Return how training pictures of a phase's size are varied."""
        augment = self.augment
        for name in ("scale", "ratio"):
            if len(getattr(augment, name)) != 2:
                raise RecipeError(
                    f"augment.{name} must be two numbers, got {getattr(augment, name)}"
                )
        return Augment(
            size=size,
            scale=(augment.scale[0], augment.scale[1]),
            ratio=(augment.ratio[0], augment.ratio[1]),
            flip=augment.flip,
            mixup=augment.mixup,
            crop_padding=augment.crop_padding,
        )

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
        changes = {"dropout": self.model.dropout, "orthogonality": self.model.orthogonality}
        given = {key: value for key, value in changes.items() if value is not None}
        return architecture(self.model.name, classes=classes, **given)

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


OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("milestones", "cosine", "constant")


#: What Keras calls the precisions a network can be trained in.
DTYPES = ("float32", "float64", "bfloat16", "mixed_bfloat16", "mixed_float16")
#: Smallest value of numbers: settings, field, least.
LEAST: tuple[tuple[str, str, float], ...] = (
    ("", "batch_size", 1),
    ("", "validate_every", 1),
    ("", "seed", 0),
    ("", "cache", 8),
    ("phases", "epochs", 1),
    ("phases", "size", 8),
    ("optimizer", "learning_rate", 0),
    ("optimizer", "weight_decay", 0),
    ("schedule", "warmup_epochs", 0),
    ("schedule", "gamma", 0),
)


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
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in settings:
        if key not in fields:
            raise RecipeError(str(unknown(f"setting in {where}", key, fields)))
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and name not in settings
    ]
    if missing:
        raise RecipeError(f"{where} lacks {', '.join(missing)}")
    return cls(**{key: _convert(types[key], value, key) for key, value in settings.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Return a TOML value as the type a field declares, or say that it is another."""
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, where)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where} must be a list, got {value!r}")
        return tuple(_convert(arguments[0], item, where) for item in value)
    allowed = tuple(arguments or (kind,))
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        names = " or ".join(t.__name__ for t in allowed if t is not type(None))
        raise RecipeError(f"{where} must be of type {names}, got {value!r}")
    return value
