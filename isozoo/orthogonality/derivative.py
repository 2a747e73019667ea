"""Penalties whose gradient is written down instead of derived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

Forward = Callable[..., tuple[Any, Any]]
Backward = Callable[[Sequence[Any], Any], Sequence[Any]]


def with_gradient(forward: Forward, backward: Backward) -> Callable[..., Any]:
    """Return a scalar function of tensors with a gradient of its own, which can be derived again.

    Args:
        forward: Takes the tensors and returns the scalar and what its gradient can be told from.
        backward: Takes a list of the tensors, and that, and returns the gradient by each tensor.
    """

    @ops.custom_gradient
    def function(*inputs):
        value, known = forward(*inputs)

        def gradient(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient by position; PyTorch by name, and by
            # position the inputs.
            if upstream is None:
                found, upstream = backward(inputs, known), args[-1]
            elif _derives():
                # PyTorch has not followed how `known` was made of the inputs.
                found = backward(args, forward(*args)[1])
            else:
                found = backward(args, known)
            return tuple(upstream * part for part in found)

        return value, gradient

    return function


def _derives() -> bool:
    """Return whether PyTorch follows what is computed, as it does in gradients to be derived."""
    import torch  # pyright: ignore[reportMissingImports]

    return torch.is_grad_enabled()
