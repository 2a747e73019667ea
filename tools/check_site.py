"""Check that the built site asks no other host for anything and renders every formula.

python tools/check_site.py site
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path


class _Loads(HTMLParser):
    """Collects what a page loads by itself; links that a reader may click are not loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get("src") or (values.get("href") if tag == "link" else None)
        loaded = values.get("rel") not in ("canonical", "prev", "next")
        if address and loaded and address.startswith(("http:", "https:", "//")):
            self.found.append(address)
        if values.get("class") == "arithmatex":
            self.found.append("a formula that was not rendered")


def problems(site: Path) -> list[str]:
    """Return one line for each thing that a page of the site should not hold."""
    lines = []
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        lines += [f"{page}: {found}" for found in parser.found]
    return lines


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
