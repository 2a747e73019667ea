"""Reading the tables of the experiments, isozoo's own and others, and what is refused of them."""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isozoo.errors import RecipeError, check_fields, unknown
from isozoo.experiments.table import Claim, Column, Row, Scale, Settings, Table, merged

_FOLDER = Path(__file__).with_name("tables")
_SCALES = Path(__file__).with_name("scales.toml")
#: What a claim may name together.
_CLAIMS = ({"better", "than"}, {"trains"}, {"fails"})


def table_names() -> list[str]:
    """Return the names of the tables.

    Example:
        >>> "ablation" in table_names()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_table(name: str) -> Table:
    """Return a table.

    Args:
        name: One of `table_names`, or the path of a table of one's own, which ends in `.toml`.

    Raises:
        UnknownNameError: There is no such table; the nearest are named.
        RecipeError: The file is missing, is not TOML, or a key in it is missing or unknown.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if path.parent == _FOLDER and name not in table_names():
        raise unknown("table", name, table_names())
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no table at {path}; `isozoo reproduce` lists isozoo's own") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not a TOML file: {error}") from error
    return table_from_dict({"name": path.stem, **found})


def table_from_dict(settings: Settings) -> Table:
    """Build a table from nested settings, as TOML gives them.

    A scale that `extends` one of isozoo's own, `"small"` or `"paper"`, says only what differs.

    Raises:
        RecipeError: A key is missing or unknown, a name is there twice, or a claim or a published
            figure is about a cell that is not there.
    """
    made = _built(Table, settings, "table")
    made = dataclasses.replace(
        made,
        columns=tuple(_built(Column, column, "columns") for column in made.columns),
        rows=tuple(_built(Row, row, "rows") for row in made.rows),
        scales={name: _scale(name, scale) for name, scale in made.scales.items()},
        claims=tuple(_built(Claim, claim, "claims") for claim in made.claims),
    )
    _check(made)
    return made


def _scale(name: str, settings: Settings) -> Scale:
    shared = tomllib.loads(_SCALES.read_text("utf-8"))
    own = dict(settings)
    extended = own.pop("extends", None)
    if extended is None:
        return _built(Scale, own, f"scales.{name}")
    if extended not in shared:
        raise RecipeError(str(unknown("scale to extend", str(extended), shared)))
    return _built(Scale, merged(shared[extended], own), f"scales.{name}")


def _built(cls: Any, settings: Any, where: str) -> Any:
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{where} must be tables of settings, got {settings!r}")
    check_fields(cls, settings, where, RecipeError)
    return cls(**{key: _frozen(value) for key, value in settings.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check(table: Table) -> None:
    """Refuse names that are there twice, and cells that are not there."""
    names: dict[str, list[str]] = {
        "row": [row.name for row in table.rows],
        "column": [column.name for column in table.columns],
    }
    for kind, found in names.items():
        for name, count in Counter(found).items():
            if count > 1:
                raise RecipeError(f"{count} {kind}s of {table.name} are called '{name}'")
    for claim in table.claims:
        if set(claim.cells) not in _CLAIMS:
            raise RecipeError(
                f"the claim '{claim.says}' of {table.name} must name `better` and `than`, or "
                "`trains`, or `fails`"
            )
        for row, column in claim.cells.values():
            if row not in names["row"] or column not in names["column"]:
                raise RecipeError(
                    f"the claim '{claim.says}' of {table.name} is about {row} {column}, which is "
                    "not there"
                )
    for row in table.rows:
        for column in set(row.published) - set(names["column"]):
            raise RecipeError(f"{table.name} has no column {column}, which {row.name} published")
        _check_name(table, row)


def _check_name(table: Table, row: Row) -> None:
    """Refuse a row without a network, or with a placeholder that nothing stands for."""
    try:
        str(row.recipe["model"]["name"]).format(column="", variant="")
    except (KeyError, IndexError, TypeError) as error:
        raise RecipeError(
            f"row '{row.name}' of {table.name} must say model.name, in which {{column}} and "
            f"{{variant}} are filled in; {error} is not known"
        ) from None
