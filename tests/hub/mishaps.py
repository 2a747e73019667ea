"""What goes wrong in the rows of `tests.hub.faults`, as functions."""

import errno
import io
import os
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np

from isozoo.models.manifest import ENCODER
from tests.hub.stand_in import HTML, Fault

OUTSIDE = "../../../../outside"


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
