"""What the documents say of training on several devices; `docs_tables.py` puts it into them.

The numbers are from what ``isozoo benchmark --suite benchmarks/scaling.toml`` and
``python -m tests.cluster.kills`` wrote to ``benchmarks/results``.
"""

from __future__ import annotations

from collections.abc import Iterator

from performance_tables import NOT_MEASURED, ROOT, read
from tables import table

from isozoo.benchmark import Comparison

RESULTS = ROOT / "benchmarks" / "results"
#: Groups of `benchmarks/scaling.py` that are shown, in words.
SHOWN = {
    "one": "one process, one core",
    "mirrored": "`mirrored`, two virtual devices",
    "multiworker": "`multiworker`, two processes",
}
#: Of these, the group that does what the processes of `alone` do, and tells the others beside.
TELLING = "multiworker"


def scaling() -> str:
    """Return images per second of one and two workers, and what the summing of gradients costs."""
    rows = read(RESULTS / "scaling.json")["rows"]
    if not rows:
        return NOT_MEASURED
    found = [Comparison.from_json(row["comparison"]) for row in rows]
    shown = [cells for row, one in zip(rows, found, strict=True) for cells in _rows(row, one)]
    head = "what trains||images/s:|times one core:|time in communication:"
    about = found[0].machine
    return table(head, shown) + (
        "\nMedians of rounds in turns, each device with one core of "
        f"{about['processor']} to itself ({about['system']}). Two processes that do half of a step "
        "each and tell each other nothing are timed too; the share of a step that is longer than "
        "theirs counts as communication, the waiting for each other included. One process with two "
        "devices has no such counterpart. On GPUs, with their own network, nothing was measured.\n"
    )


def _rows(row: dict, found: Comparison) -> Iterator[list[str]]:
    labels = {label.partition("@")[2]: label for label in (one.label for one in found.results)}
    for group, words in SHOWN.items():
        result = next(one for one in found.results if one.label == labels[group])
        gain = found.ratio(labels[group], labels["one"])
        alone = found.ratio(labels[group], labels["alone"])
        yield [
            row["title"],
            words,
            f"{result.median:.1f}" if result.median else "failed",
            f"{gain.median:.2f}" if gain else "",
            f"{100 * max(0.0, 1 - alone.median):.0f} %" if alone and group == TELLING else "",
        ]


def recovery() -> str:
    """Return what came of killing one of two workers again and again."""
    path = RESULTS / "recovery.json"
    if not path.exists():
        return NOT_MEASURED
    found = read(path)
    seconds, after = found["recovery_seconds"], found["ended_after_seconds"]
    left = found["kills_while_training"] - found["ended_by_themselves"]
    rest = (
        f"; in {left} it was busy without the other for {found['patience']:g} s and was ended, as "
        "launchers do"
    )
    return (
        f"One of two workers on one machine was killed (`kill -9`) at {found['kills']} random "
        f"moments of a run of {found['steps']} steps. The weights of the finished run were to the "
        "bit those of a run that nothing disturbed, its log was the same but for the last bit of "
        "the mean losses of epochs that were interrupted, and no checkpoint was unreadable. "
        f"From a kill to the next step went {found['recovery_median']:.1f} s in the median and "
        f"{max(seconds):.1f} s at most, imports apart; the undisturbed run took "
        f"{found['start_seconds']:.1f} s from its start to its first step. In "
        f"{found['ended_by_themselves']} of the {found['kills_while_training']} kills while both "
        f"trained the other worker noticed and ended by itself, after {max(after):.1f} s at most"
        f"{rest if left else ''}. The machine's load was {found['machine']['load']:g} on "
        f"{found['machine']['cores']} cores as it began.\n"
    )


REGIONS = {"scaling": scaling, "recovery": recovery}
