"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a table; a column whose title ends in `:` is aligned right."""
    titles = head.split("|")
    rule = ["---:" if title.endswith(":") else "---" for title in titles]
    lines = [[title.rstrip(":") for title in titles], rule, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
