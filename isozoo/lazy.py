"""Packages that import what they offer at its first use (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def later(
    package: str, home: Mapping[str, str], modules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose names are looked up when asked for.

    Args:
        package: The package's `__name__`.
        home: The module that holds each public name; one that begins with a dot is the package's.
        modules: Modules of the package that are public themselves.

    Returns:
        Two functions, for the package to keep under these names.

    Example:
        >>> find, names = later("isozoo", {"IsozooError": ".errors"})
        >>> find("IsozooError").__name__
        'IsozooError'
        >>> find("Error")
        Traceback (most recent call last):
        AttributeError: module 'isozoo' has no attribute 'Error'
    """

    def find(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f".{name}", package)
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home[name], package), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home, *modules})

    return find, names
