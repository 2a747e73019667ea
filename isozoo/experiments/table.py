"""The tables of the experiments as data: rows, columns, scales, and the recipe of each cell.

Keras-free, so that tables can be listed without importing a backend.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from isozoo.errors import unknown
from isozoo.models.architecture import architecture
from isozoo.models.parts import residual_scaling
from isozoo.training.recipe import Recipe

Settings = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of an experiment is done: the paper's, or what a small machine can do.

    Args:
        about: One sentence for the reader: which images, how large, how long.
        dataset: Name of the data set, as `isozoo train --data` takes it.
        seeds: Runs of each cell with different seeds.
        headline_seeds: Runs of each cell of the rows that the experiment is about.
        variant: What the networks' names end in, such as `-w16`.
        columns: Names of the columns that are run; all by default.
        recipe: Settings of every cell.
    """

    about: str
    dataset: str
    seeds: int = 1
    headline_seeds: int = 3
    variant: str = ""
    columns: tuple[str, ...] | None = None
    recipe: Settings = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """What varies along a row.

    Args:
        name: The column's value, such as a depth.
        recipe: Settings of its cells.
        scales: More settings for single scales.
    """

    name: str
    recipe: Settings = dataclasses.field(default_factory=dict)
    scales: Mapping[str, Settings] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A network, or a way to train one.

    Args:
        name: Short name, part of its runs' names.
        title: As the paper calls it.
        headline: Whether the experiment is about it, so that it is run with more seeds.
        recipe: Settings of its cells; `{column}` and `{variant}` in the name of the model stand for
            the column's name and the scale's variant, and `model.residual_scaling` for a key of
            `isozoo.models.parts.RESIDUAL_SCALINGS`.
        scales: More settings for single scales.
        published: The paper's accuracy in per cent, by the column's name; 0 where the paper says
            that the network does not train.
        chosen: What isozoo chose of the paper scale where the authors' files say nothing.
    """

    name: str
    title: str
    recipe: Settings
    headline: bool = False
    chosen: str = ""
    scales: Mapping[str, Settings] = dataclasses.field(default_factory=dict)
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """That one cell is better than another, that one trains, or that one does not.

    Args:
        says: The claim in words.
        better: Row and column of the better cell, together with `than`.
        than: Row and column of the other.
        trains: Row and column of a cell that is said to train.
        fails: Row and column of a cell that is said not to.
    """

    says: str
    better: tuple[str, str] | None = None
    than: tuple[str, str] | None = None
    trains: tuple[str, str] | None = None
    fails: tuple[str, str] | None = None

    @property
    def cells(self) -> dict[str, tuple[str, str]]:
        """Rows and columns that are named, by what is said of them."""
        found = {name: getattr(self, name) for name in ("better", "than", "trains", "fails")}
        return {name: cell for name, cell in found.items() if cell is not None}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One number of a table, measured by one or several runs.

    Args:
        table: Name of the table.
        scale: Name of the scale.
        row: The row.
        column: The column.
        seeds: Seeds of its runs.
        settings: The recipe's settings, but for seed and tag.
    """

    table: str
    scale: str
    row: Row
    column: Column
    seeds: tuple[int, ...]
    settings: Settings

    def recipe(self, seed: int) -> dict[str, Any]:
        """Return the settings of one run's recipe.

        Args:
            seed: The run's seed.

        Raises:
            RecipeError: The table makes a recipe that cannot be trained.
        """
        tag = f"{self.row.name}-{self.column.name}-seed{seed}"
        title = f"{self.row.title}, {self.column.name}: {self.table}, {self.scale} scale"
        settings = {"tag": tag, "title": title, "seed": seed, **copy.deepcopy(dict(self.settings))}
        Recipe.from_dict(settings)
        return settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """An experiment: what is compared, and how.

    Args:
        name: Its name on the command line.
        title: What it asks.
        about: What is done, in a few sentences.
        source: Where the paper's figures are from; empty where there are none.
        claims: What is said of its cells.
        claimed: Who says so.
        varies: What the columns are called, such as `depth`.
        columns: The columns.
        rows: The rows.
        scales: The scales by name.

    Example:
        >>> from isozoo.experiments import read_table
        >>> table = read_table("depth")
        >>> [column.name for column in table.columns]
        ['18', '34', '50', '101']
        >>> cell = next(table.cells("small", rows=["isonet"]))
        >>> cell.settings["model"]["name"]
        'isonet-18-w16'
    """

    name: str
    title: str
    about: str
    varies: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    scales: Mapping[str, Scale]
    source: str = ""
    claims: tuple[Claim, ...] = ()
    claimed: str = "the paper"

    def cells(
        self,
        scale: str,
        rows: Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
        seeds: int | None = None,
    ) -> Iterator[Cell]:
        """Yield the cells of a scale, row by row.

        Args:
            scale: Name of the scale.
            rows: Names of the rows; all by default.
            columns: Names of the columns; those of the scale by default.
            seeds: Runs of each cell; by default as the scale says.

        Raises:
            UnknownNameError: There is no such scale, row or column; the nearest are named.
        """
        if scale not in self.scales:
            raise unknown("scale", scale, self.scales)
        size = self.scales[scale]
        for row in _chosen("row", self.rows, rows):
            for column in _chosen("column", self.columns, columns or size.columns):
                runs = seeds or (size.headline_seeds if row.headline else size.seeds)
                settings = self._settings(scale, row, column)
                yield Cell(self.name, scale, row, column, tuple(range(runs)), settings)

    def _settings(self, scale: str, row: Row, column: Column) -> dict[str, Any]:
        settings = dict(self.scales[scale].recipe)
        for more in (
            column.recipe,
            column.scales.get(scale, {}),
            row.recipe,
            row.scales.get(scale, {}),
        ):
            settings = merged(settings, more)
        model = dict(settings["model"])
        model["name"] = model["name"].format(column=column.name, variant=self.scales[scale].variant)
        scaling = model.pop("residual_scaling", None)
        if scaling is not None:
            model |= residual_scaling(scaling, architecture(model["name"]).branches)
        return {**settings, "model": model, "dataset": self.scales[scale].dataset}


#: Settings of a recipe that are notes, or names.
_NOTES = ("title", "dataset", "tag")


def settings_hash(settings: Settings) -> str:
    """Return what is the same for two recipes that train alike.

    Example:
        >>> settings_hash({"title": "a", "seed": 1}) == settings_hash({"title": "b", "seed": 1})
        True
        >>> settings_hash({"seed": 1}) == settings_hash({"seed": 2})
        False
    """
    said = {key: value for key, value in settings.items() if key not in _NOTES}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def merged(settings: Settings, changes: Settings) -> dict[str, Any]:
    """Return nested settings with changes, which win; lists are replaced whole.

    Example:
        >>> merged({"a": {"x": 1, "y": 2}, "b": [1]}, {"a": {"y": 3}, "b": [2]})
        {'a': {'x': 1, 'y': 3}, 'b': [2]}
    """
    made = dict(settings)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merged(made[key], value) if both else value
    return made


def _chosen(kind: str, items: tuple[Any, ...], names: Iterable[str] | None) -> list[Any]:
    if names is None:
        return list(items)
    known = {item.name: item for item in items}
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return [item for item in items if item.name in set(names)]
