"""The table of the parts that an architecture chooses between."""

from __future__ import annotations

from tables import table

from isozoo.models.parts import PARTS


def parts() -> str:
    """Return one row for each value of each field."""
    return table(
        "field|value|what it is|described by",
        (
            # A bar would end the cell.
            (f"`{field}`", f"`{name}`", part.what.replace("|", "\\|"), part.source)
            for field, values in PARTS.items()
            for name, part in values.items()
        ),
    )


REGIONS = {"parts": parts}
