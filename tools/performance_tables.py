"""What the documents say of speed; `docs_tables.py` puts it into them.

The numbers are from what ``isozoo benchmark --suite benchmarks/suite.toml`` and
``benchmarks/precision.py`` and ``benchmarks/probe.py`` wrote to ``benchmarks/results``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tables import table

from isozoo.benchmark import Comparison
from isozoo.benchmark.goals import Goal
from isozoo.benchmark.results import Result
from isozoo.benchmark.suite import Suite
from isozoo.cli.benchmark import bound, note

ROOT = Path(__file__).resolve().parents[1]
PERFORMANCE = ROOT / "benchmarks" / "results" / "performance.json"
SUITE = ROOT / "benchmarks" / "suite.toml"
PRECISION = ROOT / "benchmarks" / "results" / "precision.json"
PROBE = ROOT / "benchmarks" / "results" / "probe.json"
#: The row of the suite that the table of models shows.
MODELS = "models"
NOT_MEASURED = "Not measured yet.\n"
_VERDICTS = {True: "met", False: "**not met**", None: "no goal"}


def read(path: Path) -> dict[str, Any]:
    """Return what a benchmark wrote, or a record without rows."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": []}


def disagreements() -> list[str]:
    """Return what the measured rows and verdicts do not have in common with the suite.

    Rows, contenders and rounds must be those of `suite.toml`, and its goals, judged anew by what
    was measured, must come to what the result says of them. A suite that was never run agrees.
    """
    rows = {row["key"]: row for row in read(PERFORMANCE)["rows"]}
    wanted = {row.key: row for row in Suite.read(SUITE).rows} if rows else {}
    found = [f"row '{key}' is not in {SUITE.name}" for key in rows if key not in wanted]
    for key, row in wanted.items():
        if key not in rows:
            found.append(f"row '{key}' of {SUITE.name} was not measured")
            continue
        comparison = Comparison.from_json(rows[key]["comparison"])
        judged = [
            goal.judge(comparison).to_json() for goal in row.goals if _named(goal, comparison)
        ]
        pairs = {
            "title": (row.title, rows[key]["title"]),
            "contenders": (row.labels, [result.label for result in comparison.results]),
            "against": (row.against, comparison.against),
            "rounds": ((row.rounds, row.warm_up), (comparison.rounds, comparison.warm_up)),
            "goals": (json.loads(json.dumps(judged)), rows[key]["goals"]),
        }
        found += [f"{what} of row '{key}' changed" for what, (a, b) in pairs.items() if a != b]
    return found


def _named(goal: Goal, comparison: Comparison) -> bool:
    """Return whether a comparison has everybody whom a goal names."""
    labels = {result.label for result in comparison.results}
    return labels.issuperset((*goal.subjects, *goal.rivals))


def comparisons() -> dict[str, Comparison]:
    """Return the comparisons of the suite by the keys of their rows."""
    return {
        row["key"]: Comparison.from_json(row["comparison"]) for row in read(PERFORMANCE)["rows"]
    }


def goals() -> str:
    """Return one row for each goal, with what was measured."""
    found = [goal for row in read(PERFORMANCE)["rows"] for goal in row["goals"]]
    return (
        table("what is compared|measured:|goal||range|", map(_goal, found))
        if found
        else NOT_MEASURED
    )


def _goal(goal: dict[str, Any]) -> list[str]:
    ratio, about = goal["ratio"], note(goal, "`{}`")
    return [
        f"{goal['title']} ({goal['of']})" + (f", {about}" if about else ""),
        f"{ratio['median']:.2f}" if ratio else "failed",
        bound(goal),
        _VERDICTS[goal["met"]],
        f"{ratio['low']:.2f} to {ratio['high']:.2f}" if ratio else "",
    ]


def measurements() -> str:
    """Return a section for each row of the suite: a table and a plot."""
    parts = []
    for row in read(PERFORMANCE)["rows"]:
        found = Comparison.from_json(row["comparison"])
        rivals = [f"times as fast as `{rival}`:" for rival in found.against]
        unit = found.results[0].unit
        head = "|".join(["contender", f"{unit}:", "range:", "first call:", "peak memory:", *rivals])
        parts += [
            f"### {row['title']}\n\n",
            table(head, (_measurement(found, result) for result in found.results)),
            f"\n{_conditions(found)}\n\n",
            f"![{row['title']}](assets/performance/{row['key']}.png)\n\n",
        ]
    return "".join(parts).rstrip("\n") + "\n" if parts else NOT_MEASURED


def _measurement(found: Comparison, result: Result) -> list[str]:
    ratios = (found.ratio(result.label, rival) for rival in found.against)
    if result.median is None or result.range is None:
        return [f"`{result.label}`", "failed", "", "", "", *("" for _ in ratios)]
    low, high = result.range
    return [
        f"`{result.label}`",
        f"{result.median:.4g}",
        f"{low:.4g} to {high:.4g}",
        f"{result.first:.3g} s",
        f"{result.mebibytes:,.0f} MiB",
        *(f"{ratio.median:.2f}" if ratio else "" for ratio in ratios),
    ]


def _conditions(found: Comparison) -> str:
    sizes = sorted({result.image_size for result in found.results if result.image_size})
    pixels = f"images of {' and '.join(map(str, sizes))} px, " if sizes else ""
    batch = f"batches of {found.settings['batch_size']}, " if sizes else ""
    devices = sorted({result.device for result in found.results if result.device})
    where = f", on the {devices[0].upper()}" if len(devices) == 1 else _devices(found)
    text = (
        f"{pixels}{batch}median of {found.rounds} rounds after {found.warm_up} to warm up{where}."
    )
    return text[0].upper() + text[1:]


def _devices(found: Comparison) -> str:
    """Return which contenders computed on what, where it is not the same."""
    named = [f"`{r.label}` on the {r.device.upper()}" for r in found.results if r.device]
    return f"; {', '.join(named)}" if named else ""


def measured_on() -> str:
    """Return what the numbers were measured on, and with which versions."""
    found = read(PERFORMANCE)
    if not found["rows"]:
        return NOT_MEASURED
    about = found["machine"]
    dates = sorted({row["date"] for row in found["rows"]})
    versions: dict[str, str] = {}
    for comparison in comparisons().values():
        for result in comparison.results:
            versions |= result.versions
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"Measured on {' and '.join(dates)} on {about['cores']} cores of {about['processor']} "
        f"({about['system']}), whose load was {about['load']} at the start, with Python "
        f"{about['python']}; {libraries}.\n"
    )


def precisions() -> str:
    """Return one row for each variant of the published weights: what its precision costs."""
    found = read(PRECISION)
    if not found["rows"]:
        return NOT_MEASURED
    head = "weights|variant|top-1:|points:|goal||class changed:"
    shown = table(head, map(_precision, found["rows"]))
    return (
        f"{shown}\nOf {found['images']:,} validation pictures; int8 is calibrated on "
        f"{found['calibration']} training pictures.\n"
    )


def _precision(row: dict[str, Any]) -> list[str]:
    bounded = row["at_most"] is not None
    failed = "error" in row
    return [
        f"`{row['weights']}`",
        f"`{row['variant']}`",
        "failed" if failed else f"{100 * row['top1']:.2f} %",
        "" if failed else f"{row['points']:+.2f}",
        f"at most {row['at_most']:g} lost" if bounded else "",
        _VERDICTS[row["met"]] if bounded else "",
        "" if failed else f"{row['changed']}",
    ]


def probe_runs() -> str:
    """Return one row for each way to compute the penalty: its runs' accuracy and penalty."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for row in read(PROBE)["rows"]:
        arms.setdefault(row["arm"], []).append(row)
    rows = (
        [
            f"`{arm}`",
            ", ".join(f"{100 * run['top1']:.2f} %" for run in runs),
            f"{100 * statistics.mean(run['top1'] for run in runs):.2f} %",
            ", ".join(f"{run['penalty']:.0f}" for run in runs),
        ]
        for arm, runs in arms.items()
    )
    head = "computed|top-1 of each seed:|mean:|exact penalty at the end:"
    return table(head, rows) if arms else NOT_MEASURED


REGIONS: dict[str, Callable[[], str]] = {
    "goals": goals,
    "measurements": measurements,
    "measured-on": measured_on,
    "precisions": precisions,
    "probe-runs": probe_runs,
}
