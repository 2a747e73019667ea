"""Image folders on disk or in a tar file: one sub-folder per class."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from isozoo.data.images import IMAGE_SUFFIXES, is_image_name, open_image
from isozoo.errors import DataError


class ImageFolder:
    """Labelled images laid out as `class/picture.jpg`, in a folder or an uncompressed tar file.

    Classes are the sub-folders in sorted order and pictures are sorted within them, so labels and
    sample numbers are the same on every machine and for a folder and its tar. Pictures may lie
    deeper inside their class. Hidden files and files that do not end like an image are left out.

    A tar is never unpacked: it is listed once and each picture is then read at its place.

    Args:
        path: The folder or tar file that holds the class folders.

    Raises:
        DataError: Nothing is there, it is no tar, it holds no images, or a class has none.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for kind in ("dog", "cat"):
        ...         folder = Path(root, "train", kind)
        ...         folder.mkdir(parents=True)
        ...         Image.new("RGB", (4, 3)).save(folder / "1.png")
        ...     pets = ImageFolder.open(root, split="train")
        ...     pets.classes, pets.samples, pets.labels.tolist(), pets.image(0).shape
        (('cat', 'dog'), ('cat/1.png', 'dog/1.png'), [0, 1], (3, 4, 3))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._load(_storage(Path(path)), PurePosixPath())

    @classmethod
    def open(cls, path: str | os.PathLike[str], split: str | None = None) -> ImageFolder:
        """Open one split of a data set, such as `root/train`.

        Args:
            path: The folder or tar file that holds the splits, directly or inside a single folder
                (`root/train` or `root/imagenette2-160/train`).
            split: Name of the split's folder, or None if the class folders are at the top.

        Returns:
            The images of that split.

        Raises:
            DataError: As for the class, or there is no such split; the ones found are listed.
        """
        storage = _storage(Path(path))
        folder = cls.__new__(cls)
        folder._load(storage, PurePosixPath() if split is None else _find_split(storage, split))
        return folder

    def _load(self, storage: _Storage, root: PurePosixPath) -> None:
        folders = {part for part in storage.folders if part.parent == root and part != root}
        pictures = [name for name in storage.files if name.is_relative_to(root)]
        pictures = [name for name in pictures if len(name.relative_to(root).parts) > 1]
        owners = [root / name.relative_to(root).parts[0] for name in pictures]
        where = storage.path if root == PurePosixPath() else f"{storage.path} in '{root}'"
        if not pictures:
            raise DataError(
                f"no images in class folders at {where}; expected class/picture with one of the "
                f"endings {' '.join(sorted(IMAGE_SUFFIXES))}"
            )
        empty = sorted(part.name for part in folders.difference(owners))
        if empty:
            raise DataError(
                f"the class folder '{empty[0]}' at {where} holds no images "
                f"({len(empty)} such); fill or remove it"
            )
        self._storage = storage
        self._root = root
        self.path: Path = storage.path
        self.classes: tuple[str, ...] = tuple(sorted({owner.name for owner in owners}))
        numbers = {name: number for number, name in enumerate(self.classes)}
        order = sorted(
            (numbers[owner.name], str(name.relative_to(root)))
            for owner, name in zip(owners, pictures, strict=True)
        )
        self.labels: np.ndarray = np.array([label for label, _ in order], np.int32)
        self.samples: tuple[str, ...] = tuple(name for _, name in order)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        return (
            f"ImageFolder({str(self.path)!r}, root={str(self._root)!r}, "
            f"{len(self)} images, {len(self.classes)} classes)"
        )

    def read(self, index: int) -> bytes:
        """Return the bytes of one picture's file.

        Args:
            index: The sample's number.

        Returns:
            The file's content.

        Raises:
            OSError: The file has gone or cannot be read.
        """
        return self._storage.read(self._root / self.samples[index])

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one picture.

        Args:
            index: The sample's number.

        Returns:
            The pixels, upright and in RGB; see `open_image`.

        Raises:
            ImageError: The picture is damaged; the error names its file.
        """
        name = self._root / self.samples[index]
        return np.asarray(open_image(self.read(index), name=f"'{self.path}/{name}'"))


class _Storage(Protocol):
    path: Path
    files: list[PurePosixPath]
    folders: set[PurePosixPath]

    def read(self, name: PurePosixPath) -> bytes: ...


class _Directory:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[PurePosixPath] = []
        self.folders: set[PurePosixPath] = set()
        for parent, folders, files in os.walk(path, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            here = PurePosixPath(Path(parent).relative_to(path).as_posix())
            self.folders.update(here / name for name in folders)
            self.files += [here / name for name in files if is_image_name(here / name)]

    def read(self, name: PurePosixPath) -> bytes:
        return (self.path / name).read_bytes()


@dataclass(frozen=True)
class _Span:
    offset: int
    size: int


class _Tar:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.folders: set[PurePosixPath] = set()
        self._spans: dict[PurePosixPath, _Span] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    self._add(member)
        except tarfile.TarError as error:
            raise DataError(
                f"cannot list {path} as an uncompressed tar file: {error}; "
                "decompress it first if its name ends in .gz, .xz or .tgz"
            ) from error
        self.files = list(self._spans)

    def _add(self, member: tarfile.TarInfo) -> None:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{self.path} holds a file outside of itself: '{member.name}'")
        self.folders.update(_parents(name))
        if member.isdir():
            self.folders.add(name)
        elif is_image_name(name):
            self._add_image(name, member)

    def _add_image(self, name: PurePosixPath, member: tarfile.TarInfo) -> None:
        if not member.isreg() or member.issparse():
            raise DataError(
                f"'{name}' in {self.path} is a link or a special file; "
                "pack the pictures themselves (tar --dereference)"
            )
        if name in self._spans:
            raise DataError(f"{self.path} holds two files named '{name}'")
        self._spans[name] = _Span(member.offset_data, member.size)

    def read(self, name: PurePosixPath) -> bytes:
        # Opened anew each time (some 10 microseconds): nothing to close, safe between threads.
        span = self._spans[name]
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(span.offset)
            return stream.read(span.size)


def _storage(path: Path) -> _Storage:
    if path.is_dir():
        return _Directory(path)
    if path.is_file():
        return _Tar(path)
    raise DataError(f"no image folder at {path}: there is no such folder or tar file")


def _parents(name: PurePosixPath) -> Iterable[PurePosixPath]:
    return (parent for parent in name.parents if parent != PurePosixPath())


def _find_split(storage: _Storage, split: str) -> PurePosixPath:
    """Return the folder of a split at the top or one folder deeper."""
    # A split is a folder that has class folders below it, that is a picture two levels down.
    above = {name.parents[1] for name in storage.files if len(name.parts) > 2}
    candidates = sorted(
        folder
        for folder in storage.folders
        if len(folder.parts) <= 2 and (folder.name == split or folder in above)
    )
    found = [folder for folder in candidates if folder.name == split]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"'{split}' is ambiguous at {storage.path}: {', '.join(map(str, found))}; "
            "open the folder above one of them"
        )
    names = ", ".join(f"'{folder}'" for folder in candidates) or "none (use split=None?)"
    raise DataError(f"no split '{split}' at {storage.path}; splits found: {names}")
