"""``isozoo train``: train a network from a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import isozoo
from isozoo.cli import output
from isozoo.training.distribute import STRATEGIES, WorkerLostError

USES_KERAS = True

#: Exit code of a run that was asked to stop and can go on: sysexits' EX_TEMPFAIL, "try again".
STOPPED = 75
#: Exit code of a worker that lost another, and can go on if all are started again: sysexits'
#: EX_UNAVAILABLE.
LOST = 69


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser("train", help="train from a recipe", description=__doc__)
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="a recipe.toml")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DIR",
        help="folder, or tar, that holds train/CLASS/*.jpg and val/CLASS/*.jpg",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("runs"),
        help="where each run gets a folder for checkpoints, log and weights (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run's newest checkpoint"
    )
    parser.add_argument(
        "--checkpoint-minutes", type=_minutes, metavar="N", default=10.0,
        help="minutes between checkpoints within an epoch (%(default)g)",
    )  # fmt: skip
    parser.add_argument("--csv", action="store_true", help="write the log as a table too, log.csv")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write event files for TensorBoard"
    )
    parser.add_argument(
        "--strategy", choices=STRATEGIES, default="one",
        help="what trains together: "
        + "; ".join(f"{name}, {kind.summary}" for name, kind in STRATEGIES.items())
        + " (%(default)s)",
    )  # fmt: skip
    return parser


def _minutes(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be more than 0, got {text}")
    return value


def run(args: argparse.Namespace) -> int:
    """Train, and say what came of it and where it lies; 75 if stopped, 69 if a peer was lost."""
    try:
        done = isozoo.training.train(
            args.recipe,
            args.data,
            args.out,
            resume=args.resume,
            checkpoint_minutes=args.checkpoint_minutes,
            csv=args.csv,
            tensorboard=args.tensorboard,
            strategy=args.strategy,
        )
    except isozoo.training.TrainingInterrupted as stopped:
        output.remark(str(stopped))
        return STOPPED
    except WorkerLostError as lost:
        output.remark(str(lost))
        return LOST
    for metric, value in done.metrics.items():
        print(f"{metric}: {output.number(metric, value)}")
    print(f"weights: {done.directory}")
    return 0
