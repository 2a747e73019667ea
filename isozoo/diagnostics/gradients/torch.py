"""Derivatives on PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


def without_gradients() -> contextlib.AbstractContextManager[None]:
    """Return a context in which no operation is recorded."""
    import torch  # pyright: ignore[reportMissingImports]

    return torch.no_grad()


def value_and_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """Return the value and its derivative along the tangents."""
    import torch  # pyright: ignore[reportMissingImports]

    with torch.random.fork_rng():
        value, tangent, *_ = torch.func.jvp(function, primals, tangents)
    return value.detach(), tangent.detach()


def value_and_vjp(function: Callable, primals: tuple) -> tuple[Any, Callable]:
    """Return the value and its pullback."""
    import torch  # pyright: ignore[reportMissingImports]

    watched = tuple(primal.detach().requires_grad_() for primal in primals)
    # Dropout without a seed of its own draws from the generator that all share.
    with torch.random.fork_rng(), torch.enable_grad():
        value = function(*watched)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if not value.requires_grad:
            return tuple(torch.zeros_like(primal) for primal in watched)
        found = torch.autograd.grad(
            value, watched, cotangent, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return tuple(found)

    return value.detach(), pullback
