"""Check that the built site asks no other host for anything and renders every formula.

    python tools/check_site.py site

Read are the addresses that pages and style sheets load by themselves. What scripts do is not: the
site has none but the theme's.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

#: Attributes whose address a browser loads; `href` only in some elements.
LOADED = ("src", "srcset", "imagesrcset", "poster", "data", "background")
LOADED_HREF = ("link", "image", "use")
#: Relations of a `link` that nothing is loaded for.
NAMED = ("canonical", "prev", "next")
_OTHER_HOST = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_IN_STYLE = re.compile(
    r"""(?:@import\s*|url\(\s*)["']?\s*((?:https?:)?//[^\s"')]+)""", re.IGNORECASE
)


class _Loads(HTMLParser):
    """Collects what a page loads by itself; links that a reader may click are not loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        values = {name: value or "" for name, value in attrs}
        loaded = [values[name] for name in LOADED if name in values]
        if tag in LOADED_HREF and values.get("rel") not in NAMED:
            loaded += [values[name] for name in ("href", "xlink:href") if name in values]
        # A srcset has several addresses, each but the first after a comma and a space.
        addresses = [address for text in loaded for address in text.split()]
        self.found += [address for address in addresses if _OTHER_HOST.match(address)]
        self.found += _IN_STYLE.findall(values.get("style", ""))
        if values.get("class") == "arithmatex":
            self.found.append("a formula that was not rendered")

    def handle_data(self, data: str) -> None:
        if self._tag == "style":
            self.found += _IN_STYLE.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


def problems(site: Path) -> list[str]:
    """Return one line for each thing that a page or a style sheet should not hold."""
    lines = []
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        lines += [f"{page}: {found}" for found in parser.found]
    for sheet in sorted(site.rglob("*.css")):
        found = _IN_STYLE.findall(sheet.read_text(encoding="utf-8"))
        lines += [f"{sheet}: {address}" for address in found]
    return lines


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
