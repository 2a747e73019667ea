"""Derivatives on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


def without_gradients() -> contextlib.AbstractContextManager[None]:
    """Return a context that does nothing: nothing is kept unless it is asked for."""
    return contextlib.nullcontext()


def own_randomness() -> contextlib.AbstractContextManager[None]:
    """Return a context that does nothing: all that Keras draws is from generators of the model."""
    return contextlib.nullcontext()


def value_and_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """Return the value and its derivative along the tangents."""
    import jax  # pyright: ignore[reportMissingImports]

    return jax.jvp(function, primals, tangents)  # pyright: ignore[reportAttributeAccessIssue]


def value_and_vjp(function: Callable, primals: tuple) -> tuple[Any, Callable]:
    """Return the value and its pullback."""
    import jax  # pyright: ignore[reportMissingImports]

    return jax.vjp(function, *primals)  # pyright: ignore[reportAttributeAccessIssue]
