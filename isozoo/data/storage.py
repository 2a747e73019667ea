"""Where picture files lie: below a folder, or inside an uncompressed tar file."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from isozoo.data.images import is_image_name
from isozoo.errors import DataError

_TAR_BLOCK = 512
Wanted = Callable[[PurePosixPath], bool]


class DirectoryStorage:
    """The picture files below a folder; hidden ones and other kinds of files are left out.

    Args:
        path: The folder.
        wanted: Says of a relative name whether it counts.
    """

    def __init__(self, path: Path, wanted: Wanted = is_image_name) -> None:
        self.path = path
        self.files: list[PurePosixPath] = []
        """Names of the pictures, relative to the folder, in no order."""
        self.folders: set[PurePosixPath] = set()
        """Names of all folders below, empty ones too."""
        for parent, folders, files in os.walk(path, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            here = PurePosixPath(Path(parent).relative_to(path).as_posix())
            self.folders.update(here / name for name in folders)
            self.files += [here / name for name in files if wanted(here / name)]

    def read(self, name: PurePosixPath) -> bytes:
        """Return the content of one of `files`.

        Args:
            name: The file's relative name.

        Returns:
            Its bytes.
        """
        return (self.path / name).read_bytes()


class _Span(NamedTuple):
    offset: int
    size: int


class TarStorage:
    """The picture files inside an uncompressed tar file, which is listed once and never unpacked.

    Args:
        path: The tar file.
        wanted: Says of a name whether it counts.

    Raises:
        DataError: It is no uncompressed tar file, is cut short or damaged, names a file outside of
            itself or twice, or holds a link instead of a picture.
    """

    def __init__(self, path: Path, wanted: Wanted = is_image_name) -> None:
        self.path = path
        self._wanted = wanted
        self.folders: set[PurePosixPath] = set()
        """Names of all folders inside."""
        self._spans: dict[PurePosixPath, _Span] = {}
        end = 0
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    self._add(member)
                    blocks = -(-member.size // _TAR_BLOCK) if member.isreg() else 0
                    end = member.offset_data + blocks * _TAR_BLOCK
        except tarfile.TarError as error:
            raise DataError(
                f"cannot list {path} as an uncompressed tar file: {error}; if it is compressed, "
                "decompress it first, and otherwise fetch it again"
            ) from error
        self._check_end(end)
        self.files = list(self._spans)
        """Names of the pictures, in no order."""

    def read(self, name: PurePosixPath) -> bytes:
        """Return the content of one of `files`.

        Args:
            name: The file's name inside the tar.

        Returns:
            Its bytes.
        """
        # Opened anew each time (some 10 microseconds): nothing to close, safe between threads.
        span = self._spans[name]
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(span.offset)
            return stream.read(span.size)

    def _add(self, member: tarfile.TarInfo) -> None:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{self.path} names a file outside of itself: '{member.name}'")
        self.folders.update(name.parents[:-1])
        if member.isdir() and name.parts:
            self.folders.add(name)
        elif self._wanted(name):
            self._add_file(name, member)

    def _add_file(self, name: PurePosixPath, member: tarfile.TarInfo) -> None:
        if not member.isreg() or member.issparse():
            raise DataError(
                f"'{name}' in {self.path} is a link or a special file; "
                "pack the pictures themselves (tar --dereference --hard-dereference)"
            )
        if name in self._spans:
            raise DataError(f"{self.path} holds two files named '{name}'; pack it again")
        self._spans[name] = _Span(member.offset_data, member.size)

    def _check_end(self, end: int) -> None:
        # tarfile takes a damaged header for the end of the archive and says nothing; a data set
        # must not become smaller silently. A real end is a block of zeros, or that of the file.
        with self.path.open("rb") as stream:
            stream.seek(end)
            if any(stream.read(_TAR_BLOCK)):
                raise DataError(
                    f"{self.path} is damaged at byte {end}: neither a file nor the end of the "
                    "archive; fetch it again"
                )


ImageStorage = DirectoryStorage | TarStorage


def open_storage(path: str | os.PathLike[str], wanted: Wanted = is_image_name) -> ImageStorage:
    """List the pictures in a folder or a tar file.

    Args:
        path: The folder or tar file.
        wanted: Says of a relative name whether it counts.

    Returns:
        The storage, which reads single pictures.

    Raises:
        DataError: Nothing is there, or see `TarStorage`.
    """
    place = Path(path)
    if place.is_dir():
        return DirectoryStorage(place, wanted)
    if place.is_file():
        return TarStorage(place, wanted)
    raise DataError(f"no image folder at {place}: there is no such folder or tar file")
