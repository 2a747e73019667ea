"""Derivatives on PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


def without_gradients() -> contextlib.AbstractContextManager[None]:
    """Return a context in which no operation is recorded."""
    import torch  # pyright: ignore[reportMissingImports]

    return torch.no_grad()


def own_randomness() -> contextlib.AbstractContextManager[None]:
    """Return a context in which the generators that all share have a state of its own.

    Dropout without a seed draws from them. It can be entered again, and goes on then.
    """
    return _OwnRandomness()


class _OwnRandomness(contextlib.AbstractContextManager):
    def __init__(self) -> None:
        self._own: Any = None

    def __enter__(self) -> None:
        self._common = _state()
        if self._own is not None:
            _set_state(self._own)

    def __exit__(self, *_: Any) -> None:
        self._own = _state()
        _set_state(self._common)


def _state() -> tuple[Any, Any]:
    import torch  # pyright: ignore[reportMissingImports]

    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def _set_state(state: tuple[Any, Any]) -> None:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1])


def value_and_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """Return the value and its derivative along the tangents."""
    import torch  # pyright: ignore[reportMissingImports]

    with own_randomness():
        value, tangent, *_ = torch.func.jvp(function, primals, tangents)
    return value.detach(), tangent.detach()


def value_and_vjp(function: Callable, primals: tuple) -> tuple[Any, Callable]:
    """Return the value and its pullback."""
    import torch  # pyright: ignore[reportMissingImports]

    watched = tuple(primal.detach().requires_grad_() for primal in primals)
    with own_randomness(), torch.enable_grad():
        value = function(*watched)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if not value.requires_grad:
            return tuple(torch.zeros_like(primal) for primal in watched)
        found = torch.autograd.grad(
            value, watched, cotangent, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return tuple(found)

    return value.detach(), pullback
