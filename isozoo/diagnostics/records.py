"""Typed values to JSON and back: arrays, dataclasses, named tuples, and numbers that are none."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

#: What is written for a number that JSON has not.
_NO_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
#: The dtypes that arrays come back with, by their kind.
_KINDS = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}


def canonical(value: Any) -> Any:
    """Return a value whose arrays and NumPy numbers have the types that survive being saved.

    Example:
        >>> canonical((np.float32(0.5), np.ones(2, "float32").dtype))[0]
        0.5
        >>> canonical(np.ones(2, "float32")).dtype
        dtype('float64')
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise TypeError(f"a result cannot hold an array of {value.dtype}")
        return value.astype(_KINDS[value.dtype.kind], copy=False)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        changed = {f.name: canonical(getattr(value, f.name)) for f in fields}
        return dataclasses.replace(value, **changed)
    if isinstance(value, Mapping):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [canonical(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def encode(value: Any) -> Any:
    """Return the JSON-ready form of a canonical value."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _name(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if dataclasses.is_dataclass(value):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return {key: encode(item) for key, item in value._asdict().items()}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    raise TypeError(f"a result cannot hold a {type(value).__name__}")


def _encode_array(array: np.ndarray) -> Any:
    values = array.tolist()
    return values if array.dtype.kind != "f" or np.isfinite(array).all() else _named(values)


def _named(values: Any) -> Any:
    return [_named(v) for v in values] if isinstance(values, list) else encode(values)


def _name(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def decode(kind: Any, found: Any) -> Any:
    """Return the value of a type that `encode` wrote.

    Args:
        kind: The type, as it is annotated.
        found: Its JSON-ready form.

    Raises:
        KeyError: A field is missing.
        TypeError: It is not of that type.
        ValueError: It is not of that type.

    Example:
        >>> decode(dict[str, tuple[float, ...]], {"a": [1, "NaN"]})
        {'a': (1.0, nan)}
    """
    origin = typing.get_origin(kind) or kind
    for applies, convert in _DECODERS:
        if applies(origin):
            return convert(kind, found)
    raise TypeError(f"a result cannot hold a {kind}")


def _plain(kind: Any, found: Any) -> Any:
    if not isinstance(found, kind):
        raise TypeError(f"expected a {kind.__name__}, found {found!r}")
    return found


def _number(kind: Any, found: Any) -> float:
    if isinstance(found, str):
        return _NO_NUMBERS[found]
    return float(_plain(int | float, found) if found is not True else found)


def _array(kind: Any, found: Any) -> np.ndarray:
    return np.asarray(_numbers(found))


def _numbers(values: Any) -> Any:
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return _NO_NUMBERS[values] if isinstance(values, str) else values


def _union(kind: Any, found: Any) -> Any:
    kinds = typing.get_args(kind)
    if found is None and type(None) in kinds:
        return None
    for one in kinds:
        if one is type(None):
            continue
        try:
            return decode(one, found)
        except (KeyError, TypeError, ValueError):
            continue
    raise TypeError(f"expected {kind}, found {found!r}")


def _fields(kind: Any, found: Any) -> Any:
    kinds = typing.get_type_hints(kind)
    names, optional = _named_fields(kind)
    if unknown := sorted(set(found) - set(names)):
        raise ValueError(f"unknown field {unknown[0]}")
    # What has a default is newer than some records, and the default is what held for them.
    there = [name for name in names if name in found or name not in optional]
    return kind(**{name: decode(kinds[name], found[name]) for name in there})


def _named_fields(kind: Any) -> tuple[list[str], set[str]]:
    """Return the names of a type's fields, and of those that have a default."""
    if hasattr(kind, "_fields"):
        return list(kind._fields), set(kind._field_defaults)
    fields, missing = dataclasses.fields(kind), dataclasses.MISSING
    return [field.name for field in fields], {f.name for f in fields if f.default is not missing}


def _tuple(kind: Any, found: Any) -> tuple:
    kinds = typing.get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(decode(kinds[0], item) for item in found)
    return tuple(decode(one, item) for one, item in zip(kinds, found, strict=True))


def _mapping(kind: Any, found: Any) -> dict:
    key_kind, value_kind = typing.get_args(kind)
    return {
        (int(key) if key_kind is int else key): decode(value_kind, value)
        for key, value in found.items()
    }


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


#: How a value of a type is read, by a test of the type; the first that applies.
_DECODERS: tuple[tuple[Any, Any], ...] = (
    (lambda o: o is Any, lambda kind, found: found),
    (lambda o: o in (typing.Union, types.UnionType), _union),
    (lambda o: o is typing.Literal, lambda kind, found: found),
    (lambda o: o is float, _number),
    (lambda o: o in (str, int, bool), _plain),
    (lambda o: o is np.ndarray, _array),
    (lambda o: dataclasses.is_dataclass(o) or hasattr(o, "_fields"), _fields),
    (lambda o: o is tuple, _tuple),
    (_is_mapping, _mapping),
)
