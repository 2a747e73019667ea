"""``isozoo train``: train a network from a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import isozoo
from isozoo.cli import output

USES_KERAS = True


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
    return parser


def run(args: argparse.Namespace) -> int:
    """Train, and say what came of it and where it lies."""
    done = isozoo.training.train(args.recipe, args.data, args.out, resume=args.resume)
    for metric, value in done.metrics.items():
        print(f"{metric}: {output.number(metric, value)}")
    print(f"weights: {done.directory}")
    return 0
