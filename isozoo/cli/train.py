"""``isozoo train``: train a network from a recipe."""

from __future__ import annotations

import argparse
from typing import Any

import isozoo
from isozoo.cli import output
from isozoo.cli.arguments import add_run_arguments
from isozoo.training.distribute import STRATEGIES, WorkerLostError
from isozoo.training.interrupt import RunBusyError

USES_KERAS = True

#: Exit code of a run that was asked to stop and can go on, or could not begin to as another process
#: was at it: sysexits' EX_TEMPFAIL, "try again".
STOPPED = 75
#: Exit code of a worker that lost another, and can go on if all are started again: sysexits'
#: EX_UNAVAILABLE.
LOST = 69


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser("train", help="train from a recipe", description=__doc__)
    add_run_arguments(parser)
    parser.add_argument(
        "--strategy", choices=STRATEGIES, default="one",
        help="what trains together: "
        + "; ".join(f"{name}, {kind.summary}" for name, kind in STRATEGIES.items())
        + " (%(default)s)",
    )  # fmt: skip
    return parser


def run(args: argparse.Namespace) -> int:
    """Train, and say what came of it and where it lies; 75 to try again, 69 if a peer was lost."""
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
    except (isozoo.training.TrainingInterrupted, RunBusyError) as stopped:
        output.remark(str(stopped))
        return STOPPED
    except WorkerLostError as lost:
        output.remark(str(lost))
        return LOST
    if done.chief:
        for metric, value in done.metrics.items():
            print(f"{metric}: {output.number(metric, value)}")
        print(f"weights: {done.directory}")
    return 0
