"""Who competes: texts such as ``r-isonet-50@openvino-int8``, parsed into values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isozoo import methods
from isozoo.errors import unknown
from isozoo.export.formats import FORMATS
from isozoo.zoo.catalog import info


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is done to a network before it is timed.

    Args:
        dtype: Dtype policy of Keras, or the precision of an exported network.
        fused: Whether `Classifier.fuse` is called.
        runtime: `"keras"`, or the format to export to, whose own runtime is then timed.
        penalty: Whether the training step has the orthogonality penalty.
        method: How the penalty is computed, see `OrthogonalConv`; its default if None.
        jit_compile: Whether Keras compiles with XLA.
    """

    dtype: str = "float32"
    fused: bool = False
    runtime: str = "keras"
    penalty: bool = True
    method: str | None = None
    jit_compile: bool = False


#: What may stand behind an ``@``: the fields of `Preparation` that it changes.
VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"dtype": "bfloat16"},
    "float16": {"dtype": "float16"},
    "mixed_bfloat16": {"dtype": "mixed_bfloat16"},
    "mixed_float16": {"dtype": "mixed_float16"},
    "fused": {"fused": True},
    "xla": {"jit_compile": True},
    "no-penalty": {"penalty": False},
    **{method: {"method": method} for method in methods.NAMES},
    **{
        name if dtype == "float32" else f"{name}-{dtype}": {"runtime": name, "dtype": dtype}
        for name, form in FORMATS.items()
        for dtype in form.dtypes
    },
}


@dataclasses.dataclass(frozen=True)
class Contender:
    """One that is timed: a network of isozoo, or a rival.

    Args:
        text: What the user wrote, and what results are labelled with.
        source: Where it comes from, a key of `SOURCES`.
        name: Which one, in the words of its source.
        variants: Names of `VARIANTS`; networks of isozoo only.
        file: The Python file of a rival, else None.

    Example:
        >>> Contender.parse("r-isonet-50@fused+xla").preparation.jit_compile
        True
        >>> Contender.parse("keras:ResNet50").source
        'keras'
    """

    text: str
    source: str
    name: str
    variants: tuple[str, ...] = ()
    file: str | None = None

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Read a contender.

        Args:
            text: `NAME` or `NAME@VARIANT` for a network of isozoo, with several variants joined by
                `+`; `keras:NAME` for one of `keras.applications`; `import:MODULE` for nothing but
                an import; `FILE.py:NAME` for a rival from a Python file, see
                `isozoo.benchmark.work.rival`.

        Returns:
            The value.

        Raises:
            UnknownNameError: No such network, variant or source; the known ones are named.
            FileNotFoundError: There is no such file.
        """
        before, colon, name = text.partition(":")
        if colon and before.endswith(".py"):
            if not Path(before).is_file():
                raise FileNotFoundError(2, "no rival's file", before)
            return cls(text, "file", name, file=before)
        source = before if colon else "isozoo"
        if source not in SOURCES:
            raise unknown("source of a contender", source, [*SOURCES, "FILE.py"])
        return SOURCES[source](cls, text, name if colon else text)

    @property
    def preparation(self) -> Preparation:
        """What the variants come to."""
        changes: dict[str, Any] = {}
        for variant in self.variants:
            changes |= VARIANTS[variant]
        return Preparation(**changes)

    @property
    def changes(self) -> Mapping[str, str]:
        """The fields of `Preparation` that the variants change, and which variant does."""
        return {field: variant for variant in self.variants for field in VARIANTS[variant]}


def _own(cls: type[Contender], text: str, written: str) -> Contender:
    name, at, joined = written.partition("@")
    info(name)  # raises the error that names the nearest networks
    variants = tuple(joined.split("+")) if at else ()
    for variant in variants:
        if variant not in VARIANTS:
            raise unknown("variant", variant, VARIANTS)
    return cls(text, "isozoo", name, variants)


#: How contenders of each source are read; a source is what stands before the colon.
SOURCES: dict[str, Callable[[type[Contender], str, str], Contender]] = {
    "isozoo": _own,
    "keras": lambda cls, text, name: cls(text, "keras", name),
    "import": lambda cls, text, name: cls(text, "import", name),
}
