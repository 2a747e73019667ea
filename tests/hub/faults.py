"""What may go wrong between the Hub and a network, and what isozoo then does.

The tests run every row, and docs/reliability.md holds the same rows as a table:
`python -m tests.hub.faults` prints it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from isozoo.models.manifest import HEAD
from tests.hub.mishaps import (
    OUTSIDE,
    another_network,
    change_a_byte,
    edit,
    extra,
    flipped,
    four_processes,
    full_disk,
    half_written,
    kill_while_fetching,
    lead_outside,
    misshapen,
    missing,
    not_a_number,
    offline,
    page,
    read_only,
    read_only_after_fetching,
    stop,
    truncate,
    truncate_and_go_offline,
    warm_and_stop,
)
from tests.hub.stand_in import EVIL, Fault

LOADS = ""


class Row(NamedTuple):
    """One fault.

    Args:
        what: The fault, for the documentation.
        does: What isozoo does, for the documentation.
        error: What its error says, as a regular expression; `LOADS` if the network is right.
        fault: What the server does wrong.
        before: What happens before the network is asked for; it is given the `World`.
        change: What is wrong in the weights folder itself, whose hashes are right.
        tries: How often the server is asked to send the file, if that is promised. For none,
            nothing is waited for, either.
        revision: The revision that is asked for.
    """

    what: str
    does: str
    error: str = LOADS
    fault: Fault = Fault()
    before: Callable[[Any], None] = lambda world: None
    change: Callable[[Path], None] | None = None
    tries: int | None = None
    revision: str | None = None


ROWS = (
    Row("nothing is cached", "fetches, checks, loads"),
    Row("all is cached, the server is down", "loads, without a request", before=warm_and_stop),
    Row(
        "nothing is cached, the server is down",
        "says so at once",
        "cannot be reached .*ConnectError.* check the connection",
        before=stop,
        tries=0,
    ),
    Row(
        "nothing is cached, offline",
        "says so at once",
        "HF_HUB_OFFLINE or local_files_only forbids to ask .* fetch it once without",
        before=offline,
        tries=0,
    ),
    Row("the connection is cut in the middle of a file", "fetches the rest", fault=Fault(cut=1)),
    Row(
        "the connection is cut every time",
        "gives up after six tries",
        r"cannot be reached \(RemoteProtocolError",
        Fault(cut=1000),
        tries=6,
    ),
    Row(
        "half a file is sent",
        "refuses it by its size",
        "file should be of size",
        Fault(body=lambda content: content[: len(content) // 2]),
    ),
    Row(
        "as many wrong bytes are sent",
        "refuses them by their hash, fetches again, gives up",
        "came damaged twice: expected sha256 .*, found .*now deleted",
        Fault(body=flipped),
    ),
    Row(
        "as many wrong bytes are sent, once",
        "refuses them, fetches again, loads",
        fault=Fault(body=flipped, times=1),
    ),
    Row(
        "a web page of the file's length is sent",
        "refuses it by its hash, fetches again, gives up",
        "came damaged twice: expected sha256",
        Fault(body=page),
    ),
    Row(
        "the network shows its login page instead (captive portal)",
        "says so",
        "answers, but not as the Hub does; look whether this network wants you to log in",
        Fault(portal=True),
    ),
    Row("401", "says how to log in", "answered 401, .*`hf auth login`", Fault(401)),
    Row("403", "says what may be lacking", "answered 403, access is refused", Fault(403)),
    Row("404", "says what is not there", "answered 404, there is no such", Fault(404)),
    Row("429", "says to wait", "answered 429, too many requests", Fault(429)),
    Row("500", "says to try later", "answered 500, the server is in trouble", Fault(500), tries=0),
    Row(
        "any other refusal",
        "says what the server says",
        "answered 422, 'Unprocessable Entity': change",
        Fault(422),
    ),
    Row(
        "an ETag that leads out of the cache",
        "refuses it before anything is written",
        "'../../../../evil' cannot be the file's hash",
        Fault(head={"ETag": EVIL}),
    ),
    Row(
        "such an ETag in the second answer only",
        "refuses it before anything is written",
        "changed its answer .* to '../../../../evil'",
        Fault(head={"ETag": EVIL}, from_head=2),
    ),
    Row(
        "the server fails after its first answer",
        "gives up instead of asking again",
        "stopped answering; try again",
        Fault(status=500, from_head=2),
        tries=0,
    ),
    Row(
        "a revision that leads out of the cache, which the server has",
        "refuses it before anything is asked",
        "'../../../../outside' cannot be a revision",
        before=lead_outside,
        tries=0,
        revision=OUTSIDE,
    ),
    Row(
        "an answer for another commit",
        "refuses it",
        "'f{40}' cannot be the file's commit",
        Fault(head={"X-Repo-Commit": "f" * 40}),
    ),
    Row(
        "a file of another size under that commit",
        "refuses it before it is fetched",
        "is not the file it must be: expected .* bytes with sha256",
        Fault(head={"Content-Length": "7"}),
    ),
    Row("a cached file is truncated", "deletes it, fetches it again, loads", before=truncate),
    Row("a byte of a cached file is changed", "deletes, fetches, loads", before=change_a_byte),
    Row(
        "a cached file is truncated, offline",
        "says which",
        r"again \(.* is damaged: expected .* bytes, found 1000\): HF_HUB_OFFLINE",
        before=truncate_and_go_offline,
    ),
    Row("the cache is half written", "fetches what is missing, loads", before=half_written),
    Row(
        "the cache is read-only, all is cached",
        "loads, without writing",
        before=read_only_after_fetching,
    ),
    Row(
        "the cache is read-only, nothing is cached",
        "says so",
        "Read-only file system .*choose another with cache_dir= or HF_HOME",
        before=read_only,
    ),
    Row(
        "the disk is full",
        "says so, leaves no part",
        "No space left on device .*make room in the cache",
        before=full_disk,
    ),
    Row("four processes fetch at once", "all have it", before=four_processes),
    Row(
        "a process is killed while it fetches",
        "the next one loads; the part that was written stays, as huggingface_hub leaves it",
        before=kill_while_fetching,
    ),
    Row(
        "NaN in a variable, hashes right",
        "refuses it",
        "NaN or infinite",
        change=edit(HEAD, not_a_number),
    ),
    Row(
        "a variable is missing, hashes right",
        "refuses it",
        "does not hold the weights of this head",
        change=edit(HEAD, missing),
    ),
    Row(
        "a variable too many, hashes right",
        "refuses it",
        "does not hold the weights of this head|holds 3 arrays",
        change=edit(HEAD, extra),
    ),
    Row(
        "a variable of another shape, hashes right",
        "refuses it",
        "does not hold the weights of this head",
        change=edit(HEAD, misshapen),
    ),
    Row(
        "another network's weights, hashes right",
        "refuses them",
        "does not hold the weights of this backbone",
        change=another_network,
    ),
)


def table():
    """Return the rows as the documentation has them."""
    lines = [f"| {row.what} | {row.does} |" for row in ROWS]
    return "\n".join(["| what happens | what isozoo does |", "| --- | --- |", *lines]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
