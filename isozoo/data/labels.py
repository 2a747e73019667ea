"""Names of classes whose folders are called by WordNet numbers."""

from __future__ import annotations

from collections.abc import Iterable

#: Imagenette's ten classes of ImageNet, as its authors list them.
IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def labels_of(classes: Iterable[str]) -> tuple[str, ...]:
    """Return names for the classes of a data set; WordNet numbers of Imagenette become words.

    Example:
        >>> labels_of(["n03445777", "my-dog"])
        ('golf ball', 'my-dog')
    """
    return tuple(IMAGENETTE.get(name, name) for name in classes)
