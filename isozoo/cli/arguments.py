"""Types of arguments that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path


def positive(text: str) -> int:
    """Return a whole number of at least 1.

    Raises:
        ArgumentTypeError: It is below 1.
        ValueError: It is no whole number; argparse words it by the name of this function.

    Example:
        >>> positive("12")
        12
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def not_negative(text: str) -> int:
    """Return a whole number of at least 0.

    Raises:
        ArgumentTypeError: It is below 0.
        ValueError: It is no whole number; argparse words it by the name of this function.

    Example:
        >>> not_negative("0")
        0
    """
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return number


def above_zero(text: str) -> float:
    """Return a number above 0.

    Raises:
        ArgumentTypeError: It is not above 0.
        ValueError: It is no number; argparse words it by the name of this function.

    Example:
        >>> above_zero("2.5")
        2.5
    """
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"must be more than 0, got {text}")
    return number


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command that trains from a recipe takes."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="a recipe.toml")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DATA",
        help="folder, or tar, that holds train/CLASS/*.jpg and val/CLASS/*.jpg; or a data set of "
        "TensorFlow Datasets, by its name or its folder",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("runs"),
        help="where each run gets a folder for checkpoints, log and weights (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run's newest checkpoint"
    )
    parser.add_argument(
        "--checkpoint-minutes", type=above_zero, metavar="N", default=10.0,
        help="minutes between checkpoints within an epoch (%(default)g)",
    )  # fmt: skip
    parser.add_argument("--csv", action="store_true", help="write the log as a table too, log.csv")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write event files for TensorBoard"
    )
