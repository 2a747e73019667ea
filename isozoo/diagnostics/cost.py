"""What a measure will cost, said before it runs."""

from __future__ import annotations

from typing import NamedTuple

#: Units of memory, from the smallest.
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Cost(NamedTuple):
    """The work and memory of one measure, estimated from shapes.

    Args:
        what: What is done, in a few words.
        passes: Passes of one batch through the network, forward or backward, that cost as much.
        batch: Images in a batch.
        bytes: Most memory beyond that of the model, in bytes.

    Example:
        >>> print(Cost("norms and angles, layer by layer", passes=3, batch=32, bytes=52_428_800))
        norms and angles, layer by layer: 3 passes of 32 images, about 50.0 MiB beyond the model
    """

    what: str
    passes: int
    batch: int
    bytes: int

    def __str__(self) -> str:
        passes = f"{self.passes:,} pass{'es' if self.passes != 1 else ''}"
        images = f"{self.batch:,} image{'s' if self.batch != 1 else ''}"
        memory = f"about {in_units(self.bytes)} beyond the model"
        return f"{self.what}: {passes} of {images}, {memory}"


def in_units(count: float) -> str:
    """Return a number of bytes in the largest unit that it fills.

    Example:
        >>> in_units(1536), in_units(12)
        ('1.5 KiB', '12 B')
    """
    power = 0
    while count >= 1024 and power < len(_UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.1f} {_UNITS[power]}" if power else f"{count:.0f} B"
