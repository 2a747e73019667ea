"""Several workers on this machine, to try a strategy of many: ``python -m isozoo.cluster.local``.

    python -m isozoo.cluster.local 2 isozoo train recipe.toml --data DIR --strategy multiworker

A tool for development and tests. It tells each process of the others over the loopback interface,
and when one of them fails it ends the rest, as Slurm's ``--kill-on-bad-exit`` does; it starts
nothing again, and a machine is not trained on faster by it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from isozoo.errors import IsozooError

#: Seconds that a worker may take to end after SIGTERM.
FAREWELL = 10.0
#: Seconds between two looks at the workers.
_EVERY = 0.05


def environments(count: int) -> list[dict[str, str]]:
    """Return the variables that tell each of several processes of this machine of the others.

    Args:
        count: How many processes.

    Returns:
        One mapping for each, as TensorFlow's and JAX's cluster detection read them.

    Example:
        >>> first, second = environments(2)
        >>> json.loads(second["TF_CONFIG"])["task"]
        {'type': 'worker', 'index': 1}
        >>> first["JAX_PROCESS_ID"], first["JAX_NUM_PROCESSES"]
        ('0', '2')
    """
    *ports, coordinator = _free_ports(count + 1)
    workers = [f"127.0.0.1:{port}" for port in ports]
    return [
        {
            "TF_CONFIG": json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            ),
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{coordinator}",
            "JAX_NUM_PROCESSES": str(count),
            "JAX_PROCESS_ID": str(index),
        }
        for index in range(count)
    ]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


def run(count: int, command: Sequence[str]) -> int:
    """Run a command in several processes that know of each other, until all have ended.

    Args:
        count: How many processes, at least 1.
        command: The program and its arguments.

    Returns:
        0 if all of them did well; otherwise the exit code of the first that did not, after which
        the others were ended.

    Raises:
        IsozooError: There is no such program.
    """
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for variables in environments(count):
            workers.append(subprocess.Popen(command, env={**os.environ, **variables}))
        with _passing_on(workers):
            while True:
                codes = [worker.poll() for worker in workers]
                failed = [code for code in codes if code]
                if failed or None not in codes:
                    return failed[0] if failed else 0
                time.sleep(_EVERY)
    except FileNotFoundError:
        raise IsozooError(f"there is no program '{command[0]}' to start workers of") from None
    finally:
        _end(workers)


@contextlib.contextmanager
def _passing_on(workers: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Hand SIGTERM on to the workers, which save and end; Ctrl-C reaches them by itself."""

    def hand_on(number: int, frame: object) -> None:
        for worker in workers:
            worker.send_signal(number)

    before = [
        (signal.SIGTERM, signal.signal(signal.SIGTERM, hand_on)),
        (signal.SIGINT, signal.signal(signal.SIGINT, lambda number, frame: None)),
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + FAREWELL
    for worker in workers:
        try:
            worker.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            # One that waits for a peer that is gone heeds no signal.
            worker.kill()
            worker.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m isozoo.cluster.local", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("count", type=int, metavar="N", help="how many workers")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what each runs"
    )
    args = parser.parse_args(arguments)
    if args.count < 1 or not args.command:
        parser.error("give the number of workers, at least 1, and the command that each runs")
    try:
        return run(args.count, args.command)
    except IsozooError as error:
        print(f"isozoo: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
