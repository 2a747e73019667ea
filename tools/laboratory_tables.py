"""What the page on the laboratory shows; `docs_tables.py` puts it there.

The numbers are from what ``benchmarks/laboratory.py`` wrote to ``benchmarks/results/diagnostics``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tables import table

from isozoo.diagnostics.explanation import Explanation
from isozoo.diagnostics.isometry import Isometry, Jacobian
from isozoo.diagnostics.measures import MEASURES
from isozoo.diagnostics.result import png

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "diagnostics"
NOT_MEASURED = "Not measured yet.\n"
SHOWN: dict[str, Any] = {"isometry": Isometry, "jacobian": Jacobian, "explanation": Explanation}


def _found(measure: str) -> Iterator[tuple[str, Any]]:
    """Yield what was measured of each subject, by its name."""
    for path in sorted(RESULTS.glob(f"{measure}-*.json")):
        record = json.loads(path.read_text("utf-8"))
        yield path.stem.partition("-")[2], SHOWN[measure].from_json(record)


def measures() -> str:
    """Return a row for each measure of `isozoo diagnose`."""
    rows = ((f"`{name}`", row.about, "yes" if row.usual else "") for name, row in MEASURES.items())
    return table("measure|what it measures|without `--measure`", rows)


def isometry() -> str:
    """Return how each published network keeps norms and angles, before and after training."""
    rows = []
    for name, found in _found("isometry"):
        for network in found.networks:
            signals, gradients = network.signals, network.gradients
            end = max(i for i, cut in enumerate(network.cuts) if not cut.startswith("head/"))
            rows.append(
                (
                    f"`{name}`",
                    network.label,
                    f"{signals.norms[end] / signals.norms[0]:.3g}",
                    f"{gradients.norms[1] / gradients.norms[end]:.3g}",
                    f"{signals.angles[0]:.1f}",
                    f"{signals.angles[end]:.1f}",
                    f"{np.sqrt(np.square(signals.turns[:end]).mean()):.1f}",
                )
            )
    head = "network||signal:|gradient:|angle in:|angle out:|turn:"
    return table(head, rows) if rows else NOT_MEASURED


def jacobian() -> str:
    """Return the singular values of each published network's Jacobian."""
    rows = [
        (
            f"`{name}`",
            network.label,
            network.statistics,
            f"{network.values[:, 0].mean():.3g}",
            f"{network.errors[:, 0].max():.1g}",
            f"{network.typical.mean():.3g}",
            f"{network.effective_rank.mean():.1f} of {min(network.shape):,}",
        )
        for name, found in _found("jacobian")
        for network in found.networks
    ]
    head = "network||statistics|largest, at least:|a true one within:|root mean square:"
    head += "|effective rank, about:"
    return table(head, rows) if rows else NOT_MEASURED


def explanations() -> str:
    """Return the pages on runs that failed."""
    pages = []
    for name, found in _found("explanation"):
        rows = (
            (
                row.name,
                f"{row.signal:.3g}",
                f"{row.gradient:.3g}",
                f"{row.angle:.1f}",
                f"{row.loss:.3g}",
                row.verdict,
            )
            for row in found.checked
        )
        head = "at initialisation|signal:|gradient:|angle:|loss:|verdict"
        said = "\n".join(f"> {sentence}" for sentence in found.sentences)
        pages.append(f"**`{name}`**\n\n{said}\n\n{table(head, rows)}")
    return "\n".join(pages) or NOT_MEASURED


def pictures() -> dict[str, bytes]:
    """Return the pictures of the page, by their path among the site's assets."""
    return {
        f"laboratory/{measure}-{name}": png(found.plot())
        for measure in SHOWN
        for name, found in _found(measure)
    }


REGIONS: dict[str, Callable[[], str]] = {
    "laboratory-measures": measures,
    "laboratory-isometry": isometry,
    "laboratory-jacobian": jacobian,
    "laboratory-explanations": explanations,
}
