"""What every format's runtime does."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np


class Runtime(Protocol):
    """An opened network.

    A format's module has a class `Runtime` of this kind. It is made from the exported folder and
    the dtype that was exported, and from those of `threads` and `precision` that `options` names,
    where they were asked for.
    """

    options: ClassVar[frozenset[str]]
    input_name: str
    output_name: str

    def __call__(self, images: np.ndarray, /) -> np.ndarray:
        """Return the logits of images in the layout of the format."""
        ...
