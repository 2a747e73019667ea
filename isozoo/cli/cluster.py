"""``isozoo cluster``: train a network from a recipe on the hosts of a Ray cluster."""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

import isozoo
from isozoo.cli import backend, output
from isozoo.cli.arguments import above_zero, add_run_arguments, not_negative, positive
from isozoo.cluster import PLACEMENTS, Workers

# The workers start Keras, each in a process of its own.
USES_KERAS = False


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "cluster",
        help="train from a recipe, on many hosts",
        description="Train from a recipe on workers that Ray places on the hosts of a cluster, and "
        "starts anew from the newest checkpoint when one of them is lost. DATA and DIR of --out "
        "must be the same on all hosts.",
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--workers", type=positive, required=True, metavar="N", help="processes that train together"
    )
    parser.add_argument(
        "--gpus-per-worker", type=not_negative, metavar="N", default=0,
        help="GPUs that each has to itself (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--cpus-per-worker", type=above_zero, metavar="N", default=1,
        help="processor cores that each reserves (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--placement", choices=PLACEMENTS, default="pack",
        help="on as few hosts as will do, over many, or each on a host of its own (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--address", metavar="ADDRESS",
        help="of the cluster, such as auto or ray://HOST:10001; by default where RAY_ADDRESS says, "
        "or else a cluster on this machine alone",
    )  # fmt: skip
    parser.add_argument(
        "--max-failures", type=not_negative, metavar="N", default=3,
        help="how often lost workers are started anew (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--start-minutes", type=above_zero, metavar="N", default=10.0,
        help="minutes to wait at each start for places for all workers (%(default)g)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Train, and say what came of it, where it lies, and how often it was started anew."""
    workers = Workers(
        args.workers,
        cpus=args.cpus_per_worker,
        gpus=args.gpus_per_worker,
        placement=args.placement,
    )
    if importlib.util.find_spec("ray") is not None:
        backend.bring("ray.train.tensorflow")
    done = isozoo.cluster.train(
        args.recipe,
        args.data,
        args.out,
        resume=args.resume,
        workers=workers,
        address=args.address,
        max_failures=args.max_failures,
        start_minutes=args.start_minutes,
        checkpoint_minutes=args.checkpoint_minutes,
        csv=args.csv,
        tensorboard=args.tensorboard,
    )
    if args.json:
        found = {"metrics": done.metrics, "weights": str(done.directory), "starts": done.starts}
        output.print_json(found)
        return 0
    for metric, value in done.metrics.items():
        print(f"{metric}: {output.number(metric, value)}")
    print(f"weights: {done.directory}")
    if done.starts[1:]:
        output.remark(f"workers were lost; they were started {len(done.starts)} times in all")
    return 0
