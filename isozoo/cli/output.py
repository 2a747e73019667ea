"""What the commands share for printing: results to stdout, remarks and progress to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SHARES = ("top1", "top5")


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout, keys in the order they were given."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def remark(text: str) -> None:
    """Print one line for the person at the terminal, on stderr."""
    print(f"isozoo: {text}", file=sys.stderr)


def console() -> Console:
    """Return a console on stdout that does not wrap what goes to a file or a pipe."""
    from rich.console import Console

    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=1000)


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return a table without rules, whose columns are aligned left or, if named, right."""
    from rich.table import Table

    found = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        found.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return found


def number(metric: str, value: float) -> str:
    """Return a metric as text: accuracies as per cent, counts whole, the rest with four digits.

    Example:
        >>> number("top1", 0.9134), number("images", 3925), number("cross_entropy", 0.28613)
        ('91.34 %', '3,925', '0.2861')
    """
    if metric in _SHARES:
        return f"{100 * value:.2f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
