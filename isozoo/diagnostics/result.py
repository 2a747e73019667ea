"""What every measure returns: a value that is printed, drawn, saved and read again."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from isozoo.diagnostics.records import canonical, decode, encode
from isozoo.errors import DiagnosticsError
from isozoo.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Result:
    """The base of what a measure returns.

    A measure's result is a frozen dataclass that derives from this one, names its `measure`, and
    whose fields are numbers, texts, flags, arrays, None, tuples and mappings of these, or
    dataclasses and named tuples of them. Arrays become float64, int64 or bool, so that what is
    read again is what was saved, to the bit.

    Args:
        model: What was measured, as it is called in tables.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Norms(Result):
        ...     measure = "norms"
        ...     values: tuple[float, ...]
        >>> found = Norms("r-isonet-8", values=(1.0, float("inf")))
        >>> found.to_json()["values"]
        [1.0, 'Infinity']
        >>> Norms.from_json(found.to_json()).values
        (1.0, inf)
    """

    #: Name of the measure, of its files and of its row in `isozoo.diagnostics.measures.MEASURES`.
    measure: ClassVar[str]

    model: str

    def __post_init__(self) -> None:
        """Bring arrays to the dtypes that survive saving."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, canonical(getattr(self, field.name)))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values, with the measure and the version of isozoo.

        Arrays are lists. A number that is none is a text: `"NaN"`, `"Infinity"` or `"-Infinity"`.
        """
        import isozoo

        fields = {f.name: encode(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"measure": self.measure, "version": isozoo.__version__, **fields}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return what `to_json` recorded.

        Raises:
            DiagnosticsError: It is another measure's record, or not one that this class wrote.
        """
        if found.get("measure") != cls.measure:
            raise DiagnosticsError(
                f"asked to read a result of '{cls.measure}', found one of "
                f"'{found.get('measure')}'; read it as what it is, or measure anew"
            )
        fields = {k: v for k, v in found.items() if k not in ("measure", "version")}
        try:
            return decode(cls, fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DiagnosticsError(
                f"this is no result of '{cls.measure}' that this isozoo reads ({error}); it was "
                f"written by isozoo {found.get('version', 'of an unknown version')}: measure anew"
            ) from error

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return what `save` wrote, by its JSON file.

        Raises:
            DiagnosticsError: The file holds no result of this measure.
            OSError: It cannot be read.
        """
        return cls.from_json(read_record(path))

    def table(self) -> Table:
        """Return what a terminal shows."""
        raise NotImplementedError

    def plot(self) -> Figure:
        """Return the picture.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        raise NotImplementedError

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write `<measure>.json` and `<measure>.png`, each whole or not at all.

        Args:
            folder: Where to; made if needed.

        Returns:
            The two paths.

        Raises:
            MissingExtraError: Matplotlib is not installed; the numbers are written all the same.
            OSError: The disk is full or the place not writable.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        numbers, picture = target / f"{self.measure}.json", target / f"{self.measure}.png"
        text = json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False)
        atomic_write(numbers, text + "\n")
        atomic_write(picture, png(self.plot()))
        return [numbers, picture]


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the record in a JSON file that `Result.save` wrote, of whichever measure.

    Raises:
        DiagnosticsError: The file holds no record of a measure.
        OSError: It cannot be read.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise DiagnosticsError(f"{path} is no JSON ({error}); measure anew") from error
    if not isinstance(found, dict) or "measure" not in found:
        raise DiagnosticsError(
            f"{path} is no result of a measure; give a file that `isozoo diagnose` wrote"
        )
    return found


def png(figure: Figure) -> bytes:
    """Return a picture as the bytes of a PNG file, equal for equal pictures."""
    stream = io.BytesIO()
    # The version of Matplotlib would be noted in it.
    figure.savefig(stream, format="png", dpi=90, metadata={"Software": None})
    return stream.getvalue()
