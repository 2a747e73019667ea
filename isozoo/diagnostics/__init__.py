"""The laboratory: measures of why a network trains, on any functional Keras image model.

Each measure is a function of a model and data that returns a `Result`, which is printed, drawn,
saved and read again. Importing this package imports neither Keras nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isozoo.diagnostics.cost import Cost
    from isozoo.diagnostics.gradients import loss_and_gradients, value_and_jvp, value_and_vjp
    from isozoo.diagnostics.result import Result
    from isozoo.diagnostics.taps import Step, steps, stream

_HOME = {
    "Cost": "cost",
    "Result": "result",
    "Step": "taps",
    "loss_and_gradients": "gradients",
    "steps": "taps",
    "stream": "taps",
    "value_and_jvp": "gradients",
    "value_and_vjp": "gradients",
}

__all__ = [
    "Cost",
    "Result",
    "Step",
    "loss_and_gradients",
    "steps",
    "stream",
    "value_and_jvp",
    "value_and_vjp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
