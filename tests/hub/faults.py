"""What may go wrong between the Hub and a network, and what isozoo then does.

The tests run every row, and docs/reliability.md holds the same rows as a table:
`python -m tests.hub.faults` prints it.
"""

import errno
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from isozoo.models.manifest import ENCODER, HEAD
from tests.hub.stand_in import EVIL, HTML, Fault

LOADS = ""
OUTSIDE = "../../../../outside"


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


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def page(content):
    return HTML.ljust(len(content))[: len(content)]


# What happens before


def warm(world):
    world.fetch()
    world.server.requests.clear()


def warm_and_stop(world):
    world.fetch()
    world.server.stop()


def stop(world):
    world.server.stop()


def offline(world):
    world.forbid_network()


def truncate(world):
    world.fetch()
    blob = world.cached(ENCODER).resolve()
    blob.write_bytes(blob.read_bytes()[:1000])


def truncate_and_go_offline(world):
    truncate(world)
    offline(world)


def change_a_byte(world):
    world.fetch()
    blob = world.cached(ENCODER).resolve()
    blob.write_bytes(flipped(blob.read_bytes()))


def half_written(world):
    """Leave a blob without its pointer, and what a killed process leaves."""
    truncate(world)
    pointer = world.cached(ENCODER)
    blob = pointer.resolve()
    blob.with_name(f"{blob.name}.0123abcd.incomplete").write_bytes(b"part")
    pointer.unlink()


def lead_outside(world):
    branches = world.server.branches["me/r-isonet-8.pets"]
    branches[OUTSIDE] = branches["main"]


def read_only(world):
    """Refuse every way of writing, as a read-only file system does also to an administrator."""

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))

    for name in ("mkdir", "remove", "rename", "replace", "symlink", "unlink"):
        world.patch(os, name, refuse)


def read_only_after_fetching(world):
    world.fetch()
    read_only(world)


def full_disk(world):
    """Refuse to write more than a thousand bytes of a file that is being fetched."""
    whole = Path.open

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > 1000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.name)
            return super().write(data)

    def opened(path, mode="r", *arguments, **keywords):
        if path.name.endswith(".incomplete") and "w" in mode:
            return Full(path, "w")
        return whole(path, mode, *arguments, **keywords)

    world.patch(Path, "open", opened)


def four_processes(world):
    processes = [world.start_fetching() for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    world.server.stop()


def kill_while_fetching(world):
    world.server.fault = Fault(pause=60.0)
    process = world.start_fetching()
    while not world.incomplete():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    world.server.fault = Fault()


# What is wrong in the folder


def edit(name, change):
    def changed(folder):
        with h5py.File(folder / name, "r+") as stored:
            change(stored)

    return changed


def not_a_number(stored):
    stored["layers/dense/vars/0"][0, 0] = np.nan


def missing(stored):
    del stored["layers/dense/vars/1"]


def extra(stored):
    stored["layers/dense/vars/2"] = np.zeros(3, "float32")


def misshapen(stored):
    kernel = stored["layers/dense/vars/0"][:]
    del stored["layers/dense/vars/0"]
    stored["layers/dense/vars/0"] = kernel[:, :2]


def another_network(folder):
    from isozoo.models.folder import write_folder
    from isozoo.zoo.loading import create

    write_folder(create("isonet-8", labels=["cat", "dog", "owl"]), folder.with_name("other"))
    shutil.copy(folder.with_name("other") / ENCODER, folder / ENCODER)


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
