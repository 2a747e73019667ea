"""Tables, pictures and progress in the form that all measures share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from isozoo.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Item = TypeVar("Item")

#: Size of one panel of a picture in inches, the same as those of experiments.
PANEL = (6.2, 4.6)


def table(*columns: str, right: Iterable[str] = (), title: str | None = None) -> Table:
    """Return a table without rules, whose columns are aligned left or, if named, right."""
    from rich.table import Table

    right = set(right)
    found = Table(
        title=title, title_justify="left", box=None, padding=(0, 3, 0, 0), pad_edge=False,
        header_style="bold",
    )  # fmt: skip
    for column in columns:
        found.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return found


def figure(columns: int = 1, rows: int = 1) -> tuple[Figure, Any]:
    """Return an empty picture of so many panels, and the panels `(rows, columns)`.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib: python -m pip install 'isozoo[train]'"
        ) from error
    picture = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
    return picture, picture.subplots(rows, columns, squeeze=False)


def number(value: float) -> str:
    """Return a number with four digits.

    Example:
        >>> number(0.123456), number(123456.0)
        ('0.1235', '1.235e+05')
    """
    return f"{value:.4g}"


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield items, with a bar on stderr if that is a terminal.

    Args:
        items: What is gone through.
        what: What is done, in a few words.
        total: Number of the items, if they do not know it.
    """
    from rich.console import Console
    from rich.progress import track as bar

    console = Console(stderr=True)
    yield from bar(
        items, what, total=total, console=console, transient=True, disable=not console.is_terminal
    )
