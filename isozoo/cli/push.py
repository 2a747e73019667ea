"""``isozoo push``: publish a weights folder on the Hugging Face Hub."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from isozoo.cli import output

USES_KERAS = False


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = commands.add_parser(
        "push",
        help="publish weights on the Hugging Face Hub",
        description="Upload a weights folder byte for byte, verified before and after. Log in "
        "first with `hf auth login`, or set HF_TOKEN.",
    )
    parser.add_argument("name", metavar="NAME", help="as `isozoo list --pretrained` has it")
    parser.add_argument(
        "--repository", metavar="OWNER/NAME", help="by default your own, of the weights' name"
    )
    parser.add_argument(
        "--private", action="store_true", default=None, help="make a new repository private"
    )
    parser.add_argument(
        "--pin", action="store_true", help="in a checkout of isozoo: renew its catalog, too"
    )
    parser.add_argument("--json", action="store_true", help="print what to pin as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Push, and print the repository and its commit."""
    from huggingface_hub.utils import disable_progress_bars

    from isozoo.zoo.publishing import push

    if not sys.stderr.isatty():
        disable_progress_bars()
    published = push(args.name, args.repository, private=args.private, pin=args.pin)
    if args.json:
        output.print_json(published._asdict())
        return 0
    table = output.table("PUSHED", published.name)
    for title in ("repository", "commit", "url"):
        table.add_row(title, getattr(published, title))
    output.console().print(table)
    if args.pin:
        output.remark("the pin is written and the catalog renewed: commit both")
    else:
        output.remark("these are the repository and the commit to pin")
    return 0
