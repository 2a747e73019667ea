"""``isozoo prune``: a smaller network of pretrained weights, and what it costs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from isozoo.cli import output
from isozoo.cli.arguments import above_zero, not_negative, positive

USES_KERAS = True


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, got {text}")
    return number


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "prune",
        help="remove filters of a network",
        description="Remove filters of a network that a score picks, and measure its accuracy "
        "before, after, and after training on. That a score picks those that matter least is not "
        "said: compare with --by random.",
    )
    parser.add_argument("name", metavar="NAME", help="name or folder of weights")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DATA",
        help="folder or tar that holds train/CLASS/*.jpg and val/CLASS/*.jpg",
    )  # fmt: skip
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR",
        help="where pruned.keras, pruning.json and pruning.png are written",
    )  # fmt: skip
    parser.add_argument(
        "--by", choices=("entropy", "on", "random", "dead"), default="entropy",
        help="remove those of least entropy, those that are on least, random ones, or all dead "
        "ones and no others (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--share", type=_share, metavar="S", default=0.1,
        help="share of each layer's filters to remove (%(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--tied", action="store_true", help="remove also channels that shortcuts tie together"
    )
    parser.add_argument(
        "--images", type=positive, metavar="N", default=1000,
        help="images of each split to measure on (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=not_negative, metavar="N", default=0,
        help="epochs to train on afterwards (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--learning-rate", type=above_zero, metavar="R", default=0.01,
        help="learning rate of that, which falls to 0 (%(default)g)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Prune, and print size and accuracies before and after."""
    from isozoo.diagnostics.pruning import FineTuning
    from isozoo.diagnostics.pruning.pretrained import MODEL, prune_pretrained

    tuning = FineTuning(args.epochs, args.learning_rate) if args.epochs else None
    report = prune_pretrained(
        args.name, args.data, args.out, args.share, args.by,
        tied=args.tied, images=args.images, tuning=tuning,
        announce=lambda cost: output.remark(str(cost)),
    )  # fmt: skip
    output.remark(f"wrote {args.out / MODEL}")
    if args.json:
        output.print_json(report.to_json())
    else:
        output.console().print(report.table())
    return 0
