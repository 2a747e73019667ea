"""The errors isozoo raises; each says what was asked, what was found and what to do next."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class IsozooError(Exception):
    """Base class of every error that isozoo raises on purpose.

    Example:
        >>> issubclass(WeightsError, IsozooError)
        True
    """


class UnknownNameError(IsozooError, ValueError):
    """A name that is not in the table it was looked up in."""


class WeightsError(IsozooError):
    """Weights that are missing, damaged, incomplete or made for another network."""


class ImageError(IsozooError, ValueError):
    """A file that could not be read as an image."""


class DataError(IsozooError, ValueError):
    """A data set that is missing, empty or not laid out as expected."""


class RecipeError(IsozooError, ValueError):
    """A training recipe with a missing, unknown or impossible setting."""


class BenchmarkError(IsozooError, ValueError):
    """A benchmark that cannot be run, or a contender that failed in it."""


class ExperimentError(IsozooError):
    """An experiment that cannot be run or collected."""


class DiagnosticsError(IsozooError, ValueError):
    """A network, run or result that cannot be measured, read or compared as asked."""


class ExportError(IsozooError):
    """A network that cannot be exported as asked, or whose export answers differently."""


class MissingExtraError(IsozooError, ImportError):
    """An optional dependency that the requested function needs."""


def unknown(kind: str, asked: str, known: Iterable[str], more: str = "") -> UnknownNameError:
    """Build the error for a name that is not known, with the nearest known ones.

    Args:
        kind: What the name names, in the singular ("model", "family").
        asked: The name as the caller gave it.
        known: All valid names.
        more: A closing sentence that says where to look next.

    Returns:
        An `UnknownNameError`, to be raised by the caller.

    Example:
        >>> str(unknown("model", "isonet-81", ["isonet-18", "resnet-18"]))
        "unknown model 'isonet-81'; did you mean 'isonet-18' or 'resnet-18'?"
    """
    names = list(known)
    near = difflib.get_close_matches(asked, names, n=3, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    else:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        hint = f"known: {shown}"
    return UnknownNameError(f"unknown {kind} '{asked}'; {hint}" + (f" {more}" if more else ""))


def check_fields(
    cls: Any, settings: Mapping[str, Any], where: str, error: type[IsozooError]
) -> None:
    """Refuse settings that a dataclass has no field for, or that lack one without a default.

    Args:
        cls: The dataclass.
        settings: Its settings by name.
        where: What the settings are of, for the message.
        error: What is raised.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in settings:
        if key not in fields:
            raise error(str(unknown(f"setting in {where}", key, fields)))
    missing = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING and name not in settings
    ]
    if missing:
        raise error(f"{where} lacks {', '.join(missing)}")
