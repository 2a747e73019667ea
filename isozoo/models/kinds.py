"""What the fields of a description may hold, by their annotation."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    # A bool is an index too, and as a number of classes it is a mistake.
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | str):
        raise TypeError
    return float(value)


#: What the fields may hold, by their annotation: in words, and how it becomes Python's own type.
KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "str": ("a text", _text),
    "bool": ("True or False", _flag),
    "int": ("a whole number", _whole),
    "float": ("a number", _number),
    "float | None": ("a number or None", lambda value: None if value is None else _number(value)),
    "tuple[int, ...]": ("whole numbers", lambda value: tuple(_whole(item) for item in value)),
}
