"""Names of classes: ImageNet's, and those of data sets whose folders are called by its numbers."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from isozoo.errors import DataError

_CLASSES = Path(__file__).with_name("imagenet_classes.tsv")


@functools.cache
def imagenet_classes() -> Mapping[str, str]:
    """Return the 1000 classes of ILSVRC-2012: label by WordNet number, in the networks' order.

    The order is that of the numbers. The labels are WordNet 3.0's first word for each, with a hint
    where two classes share it.

    Example:
        >>> classes = imagenet_classes()
        >>> list(classes)[0], classes["n01440764"], classes["n03126707"]
        ('n01440764', 'tench', 'crane (lifting device)')
    """
    lines = _CLASSES.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return MappingProxyType({number: label for number, label in rows})


def labels_of(classes: Iterable[str]) -> tuple[str, ...]:
    """Return names for the classes of a data set, which are mostly the names of its folders.

    Where every class is one of ImageNet's WordNet numbers, as in Imagenette, they become words;
    otherwise all stay as they are.

    Example:
        >>> labels_of(["n03445777", "n03888257"])
        ('golf ball', 'parachute')
        >>> labels_of(["n03445777", "my-dog"])
        ('n03445777', 'my-dog')
    """
    names = tuple(classes)
    known = imagenet_classes()
    return tuple(known[name] for name in names) if all(name in known for name in names) else names


def distinct_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels of a network's classes, checked to be distinct texts.

    Raises:
        ValueError: A label is not a text, or is there more than once.

    Example:
        >>> distinct_labels(["cat", "dog"])
        ('cat', 'dog')
    """
    names = tuple(labels)
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"labels must be texts, got {name!r} of type {type(name).__name__}; write "
                f"'{name}' for it"
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"labels must be distinct, got {twice[0]!r} more than once; give each class its own"
        )
    return tuple(str(name) for name in names)  # NumPy's texts become plain ones


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    r"""Return the labels in a text file, one on each line, in the order of the classes.

    Args:
        path: A UTF-8 file; blank lines are passed over.

    Raises:
        DataError: The file is not text, holds no label, or holds one twice.
        OSError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w+") as file:
        ...     _ = file.write("cat\ndog\n"), file.flush()
        ...     read_labels(file.name)
        ('cat', 'dog')
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a list of labels: it is not UTF-8 text") from error
    labels = tuple(line.strip() for line in text.splitlines() if line.strip())
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if not labels or twice is not None:
        found = "no label" if twice is None else f"'{twice}' more than once"
        raise DataError(f"{path} must hold one label on each line, found {found}")
    return labels
