"""``isozoo train``: train a network from a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import isozoo

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
        "--out", type=Path, metavar="DIR",
        help="where checkpoints, log and weights go (runs/, then the recipe's name)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="go on from the newest whole checkpoint in --out"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Train, and say where the result lies."""
    out = args.out or Path("runs") / args.recipe.stem
    isozoo.training.train(args.recipe, args.data, out, resume=args.resume)
    print(out)
    return 0
