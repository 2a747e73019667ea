"""``isozoo benchmark``: time networks and rivals, in turns."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import isozoo
from isozoo.cli import output
from isozoo.cli.backend import BACKENDS
from isozoo.errors import BenchmarkError
from isozoo.files import atomic_write

if TYPE_CHECKING:
    from isozoo.benchmark import Comparison, Ratio, Result

# The workers start Keras, each in a process of its own.
USES_KERAS = False


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "benchmark",
        help="time networks and rivals",
        description="Time networks and rivals in turns, each in a process of its own. The exit "
        "code is 1 where a contender failed or a suite's goal was not met.",
        epilog="A contender is NAME or NAME@VARIANT+..., keras:NAME, import:MODULE or "
        "FILE.py:NAME. For example: isozoo benchmark inference r-isonet-50 r-isonet-50@fused "
        "--against keras:ResNet50",
    )
    parser.add_argument(
        "measure", nargs="?", metavar="MEASURE", help="inference, training, penalty, input, first"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="contenders")
    parser.add_argument(
        "--against", nargs="+", default=[], metavar="RIVAL", help="whom to compare them with"
    )
    parser.add_argument("--suite", type=Path, metavar="FILE", help="run the rows of a suite.toml")
    parser.add_argument(
        "--rows",
        nargs="+",
        default=[],
        metavar="KEY",
        help="only these rows; FILE of --out keeps others",
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="images at once (16)")
    parser.add_argument("--image-size", type=int, metavar="PX", help="side (the network's own)")
    parser.add_argument("--rounds", type=int, metavar="N", help="repetitions that count (9)")
    parser.add_argument("--warm-up", type=int, metavar="N", help="repetitions before them (2)")
    parser.add_argument(
        "--data", metavar="DIR", help="folder or tar of train/CLASS/*.jpg, for the measure input"
    )
    parser.add_argument("--backend", choices=BACKENDS, help="what Keras computes with")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result")
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure and print; the exit code is 1 if a contender failed or a goal was not met."""
    if (args.suite is None) == (args.measure is None):
        raise BenchmarkError("give a MEASURE and NAMEs, or --suite FILE and neither of them")
    return _run_suite(args) if args.suite else _compare(args)


def _compare(args: argparse.Namespace) -> int:
    if args.rows:
        raise BenchmarkError("--rows chooses rows of a suite; give --suite FILE")
    room = isozoo.benchmark
    names = ("batch_size", "image_size", "data", "backend")
    rounds = _given(args, "rounds", "warm_up")
    found = room.compare(
        args.measure,
        args.names,
        args.against,
        settings=room.Settings(**_given(args, *names)),
        **rounds,
    )
    if args.out:
        atomic_write(args.out, json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n")
    if args.plot:
        room.plot(found, args.plot)
    if args.json:
        output.print_json(found.to_json())
    else:
        _print_table(found)
    return 1 if _remark_failures(found) else 0


def _run_suite(args: argparse.Namespace) -> int:
    alien = _given(args, "batch_size", "image_size", "rounds", "warm_up", "plot")
    if alien or args.against:
        options = [*alien, *(["against"] if args.against else [])]
        raise BenchmarkError(
            f"a suite states {', '.join(options)} itself; change the file, or time one comparison"
        )
    room = isozoo.benchmark
    suite = room.Suite.read(args.suite)
    record = room.run_suite(suite, only=args.rows, out=args.out, **_given(args, "data", "backend"))
    if args.json:
        output.print_json(record)
    failed = False
    for row in record["rows"]:
        found = room.Comparison.from_json(row["comparison"])
        if not args.json:
            print(f"{row['title']}\n")
            _print_table(found)
            print()
        failed = _remark_failures(found) or failed
    goals = [goal for row in record["rows"] for goal in row["goals"]]
    if goals and not args.json:
        _print_goals(goals)
    return 1 if failed or any(goal["met"] is False for goal in goals) else 0


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the named arguments that were given; what was not has its default elsewhere."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _print_table(found: Comparison) -> None:
    unit = found.results[0].unit
    rivals = [f"x {rival}" for rival in found.against]
    numbers = (unit.upper(), "LOWEST", "HIGHEST", "FIRST CALL", "PEAK MEMORY", *rivals)
    table = output.table("NAME", *numbers, right=numbers)
    for result in found.results:
        ratios = (found.ratio(result.label, rival) for rival in found.against)
        table.add_row(result.label, *_cells(result), *map(_ratio, ratios))
    output.console().print(table)


def _cells(result: Result) -> tuple[str, ...]:
    if result.median is None or result.range is None:
        return ("failed", "", "", "", "")
    return (
        output.number(result.unit, result.median),
        *(output.number(result.unit, value) for value in result.range),
        f"{result.first:.3g} s",
        f"{result.mebibytes:,.0f} MiB",
    )


def _ratio(ratio: Ratio | None) -> str:
    return "" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _print_goals(goals: list[dict[str, Any]]) -> None:
    table = output.table("GOAL", "RATIO", "BOUND", "MET", right=("RATIO",))
    for goal in goals:
        ratio = f"{goal['ratio']['median']:.2f}" if goal["ratio"] else "failed"
        title = "; ".join(filter(None, [goal["title"], note(goal)]))
        table.add_row(title, ratio, bound(goal), VERDICTS[goal["met"]])
    output.console().print(table)


VERDICTS = {True: "yes", False: "no", None: ""}


def note(goal: dict[str, Any], form: str = "{}") -> str:
    """Return who of several counted for a goal, and who failed; nothing if all is in its title.

    Args:
        goal: A record of `Verdict.to_json`.
        form: How labels are written.

    Example:
        >>> goal = {"subjects": ["a", "b"], "subject": "b", "rivals": ["c"], "rival": "c"}
        >>> note({**goal, "ratio": {"median": 2.0}, "failed": ["a"]}, "'{}'")
        "by 'b'; 'a' failed"
    """
    several = [
        (f"{word} " + form.format(goal[who]), len(goal[f"{who}s"]) > 1 and goal["ratio"])
        for word, who in (("by", "subject"), ("against", "rival"))
    ]
    counted = " ".join(text for text, wanted in several if wanted)
    failed = ", ".join(form.format(name) for name in goal["failed"])
    return "; ".join(filter(None, [counted, f"{failed} failed" if failed else ""]))


def bound(goal: dict[str, Any]) -> str:
    """Return a goal's bound in words; nothing if it has none.

    Example:
        >>> bound({"at_least": 7.0, "at_most": None})
        'at least 7'
    """
    for name in ("at_least", "at_most"):
        if goal[name] is not None:
            return f"{name.replace('_', ' ')} {goal[name]:g}"
    return ""


def _remark_failures(found: Comparison) -> bool:
    for result in found.failures:
        output.remark(f"{result.label} failed: {result.error}")
    return bool(found.failures)
