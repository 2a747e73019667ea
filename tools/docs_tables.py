"""Fill the generated regions of the README and the site, so that no number is typed by hand.

    python tools/docs_tables.py            # write them
    python tools/docs_tables.py --check    # fail if one is stale

A region stands between ``<!-- generated: NAME -->`` and ``<!-- /generated -->``; NAME is a key of
`REGIONS`. The numbers come from the catalog, the table of sizes, the logs in ``weights/`` and
``examples/golf-ball.json``, which is what ``isozoo predict examples/golf-ball.png --json`` printed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import isozoo
from isozoo.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
_REGION = re.compile(
    r"(?P<open><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<close><!-- /generated -->)", re.DOTALL
)


def _table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; a column whose title ends in `:` is aligned right."""
    titles = head.split("|")
    rule = ["---:" if title.endswith(":") else "---" for title in titles]
    lines = [[title.rstrip(":") for title in titles], rule, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def weights_table() -> str:
    """Return one row for each set of weights."""
    records = [isozoo.info(name) for name in isozoo.list_models(pretrained=True)]
    records = [record for record in records if record.metrics]
    return _table(
        "weights|parameters:|GFLOPs:|top-1:|top-5:|licence",
        (
            (
                f"`{record.name}`",
                f"{record.parameters:,}",
                f"{record.gflops:.3f}",
                f"{100 * record.metrics['top1']:.2f} %",
                f"{100 * record.metrics['top5']:.2f} %",
                record.licence or "not stated",
            )
            for record in records
        ),
    )


def runs_table() -> str:
    """Return one row for each set of weights: what its training log says."""
    rows = []
    for name in isozoo.list_models(pretrained=True):
        if not isozoo.info(name).recipe:
            continue
        text = (ROOT / "weights" / name / "log.jsonl").read_text(encoding="utf-8")
        epochs = [json.loads(line) for line in text.splitlines()]
        sizes = sorted({epoch["size"] for epoch in epochs})
        hours = sum(epoch["seconds"] for epoch in epochs) / 3600
        rows.append(
            (
                f"`{name}`",
                f"{len(epochs)}",
                ", ".join(map(str, sizes)),
                f"{hours:.1f}",
                f"{100 * epochs[-1]['accuracy']:.1f} %",
                f"{epochs[-1]['penalty']:.3g}",
            )
        )
    return _table("weights|epochs:|image sizes|hours:|last training accuracy:|last penalty:", rows)


def networks_table() -> str:
    """Return one row for each network, with its size for the 1000 classes of ImageNet."""
    records = [(name, isozoo.info(name)) for name in isozoo.list_models()]
    return _table(
        "network|parameters:|GFLOPs:|weights",
        (
            (f"`{name}`", f"{record.parameters:,}", f"{record.gflops:.3f}", record.tag or "")
            for name, record in records
        ),
    )


def prediction() -> str:
    """Return what the README's first command prints."""
    report = json.loads((ROOT / "examples/golf-ball.json").read_text(encoding="utf-8"))
    (image,) = report["images"]
    lines = [f"{100 * p['probability']:7.2f} %  {p['label']}\n" for p in image["predictions"]]
    return f"```text\n{image['image']}\n{''.join(lines)}```\n"


REGIONS = {
    "weights": weights_table,
    "runs": runs_table,
    "networks": networks_table,
    "prediction": prediction,
}


def documents() -> list[Path]:
    """Return the documents that may have generated regions."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """Return a document's text with its regions renewed.

    Raises:
        KeyError: A region has a name that nothing generates.
    """
    return _REGION.sub(lambda m: m["open"] + REGIONS[m["name"]]() + m["close"], text)


def main() -> int:
    """Write the regions, or check them; return the exit status."""
    parser = argparse.ArgumentParser(description="Fill the generated regions of the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if one is stale")
    check = parser.parse_args().check
    stale = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(path)
            if not check:
                atomic_write(path, filled(text))
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'is stale' if check else 'renewed'}")
    if check and stale:
        print("run: python tools/docs_tables.py")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
