"""The parser of the ``isozoo`` command, and what happens around every command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import isozoo
from isozoo.cli import (
    backend,
    benchmark,
    cluster,
    convert,
    diagnose,
    evaluate,
    export,
    info,
    listing,
    predict,
    prune,
    push,
    reproduce,
    runs,
    train,
)
from isozoo.errors import IsozooError
from isozoo.training.distribute import leave

COMMANDS = (
    listing, info, predict, train, cluster, runs, evaluate, diagnose, reproduce, benchmark, export,
    convert, prune, push,
)  # fmt: skip

FAILED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``isozoo`` command.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit code: 0 all went well, 1 some of what was given failed, 2 the command could not
        run, 130 it was interrupted.

    Raises:
        SystemExit: The arguments are not understood (code 2), or ``--help`` or ``--version`` was
            asked for (code 0).

    Example:
        >>> main(["info", "r-isonet-18-w32", "--json"])  # doctest: +ELLIPSIS
        {
          "name": ...
        0
    """
    code = _run(_parser().parse_args(argv))
    leave(code)
    return code


def _run(args: argparse.Namespace) -> int:
    try:
        if args.needs_keras(args):
            backend.start(args.backend)
        return args.run(args)
    except BrokenPipeError:
        # The reader (`isozoo list | head`) has what it wants; nothing is left to say, not even
        # by the interpreter, which flushes stdout once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("isozoo: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (IsozooError, OSError) as error:
        if args.debug:
            raise
        print(f"isozoo: {_one_line(error)}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="isozoo",
        description="Isometric networks for Keras 3, with their weights.",
        epilog="For example: isozoo predict photo.jpg. `isozoo COMMAND --help` says more.",
    )
    parser.add_argument("--version", action="version", version=f"isozoo {isozoo.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = command.add_parser(commands)
        sub.add_argument(
            "--debug", action="store_true", help="on an error, show where it was raised"
        )
        # A command that uses Keras may say of some arguments that they need none.
        needs_keras = getattr(command, "needs_keras", lambda args: True)
        sub.set_defaults(
            run=command.run, needs_keras=needs_keras if command.USES_KERAS else lambda args: False
        )
        if command.USES_KERAS:
            sub.add_argument("--backend", choices=backend.BACKENDS, help="what Keras computes with")
    return parser


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split())
