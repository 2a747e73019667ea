"""Labelled images laid out as one folder per class."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import numpy as np

from isozoo.data.images import IMAGE_SUFFIXES, open_image
from isozoo.data.storage import ImageStorage, open_storage
from isozoo.errors import DataError


class ImageFolder:
    """Labelled images laid out as `class/picture.jpg`, in a folder or an uncompressed tar file.

    Classes are the sub-folders in sorted order and pictures are sorted within them, so labels and
    sample numbers are the same on every machine and for a folder and its tar. Pictures may lie
    deeper inside their class. Hidden files and files that do not end like an image are left out.

    Attributes:
        classes: Class names; a label is an index into them.
        labels: int32 labels `(samples,)`.
        samples: File names relative to the class folders' parent.

    Args:
        source: The folder or tar file, as a path or already listed by `open_storage`.
        root: The folder inside it that holds the class folders; by default the top.

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

    def __init__(
        self,
        source: str | os.PathLike[str] | ImageStorage,
        root: str | os.PathLike[str] = "",
    ) -> None:
        is_path = isinstance(source, str | os.PathLike)
        self._storage = open_storage(source) if is_path else source
        self._root = PurePosixPath(root)
        names = [name for name in self._storage.files if name.is_relative_to(self._root)]
        names = [name.relative_to(self._root) for name in names]
        names = [name for name in names if len(name.parts) > 1]
        classes = {name.parts[0] for name in names}
        self._check(classes)
        self.classes: tuple[str, ...] = tuple(sorted(classes))
        numbers = {name: number for number, name in enumerate(self.classes)}
        order = sorted((numbers[name.parts[0]], str(name)) for name in names)
        self.labels: np.ndarray = np.array([label for label, _ in order], np.int32)
        self.samples: tuple[str, ...] = tuple(name for _, name in order)

    @classmethod
    def open(cls, path: str | os.PathLike[str], split: str) -> ImageFolder:
        """Open one split of a data set, such as `root/train`.

        Args:
            path: The folder or tar file that holds the splits' folders, directly or one folder
                deeper (`root/train` or `root/imagenette2-160/train`).
            split: Name of the split's folder.

        Returns:
            The images of that split.

        Raises:
            DataError: As for the class, or there is no such split; the ones found are listed.
        """
        storage = open_storage(path)
        return cls(storage, _find_split(storage, split))

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        return f"<ImageFolder {self._where()}: {len(self)} images of {len(self.classes)} classes>"

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
        name = f"'{self._where()}/{self.samples[index]}'"
        return np.asarray(open_image(self.read(index), name=name))

    def _where(self) -> str:
        return str(self._storage.path / self._root)

    def _check(self, classes: set[str]) -> None:
        if not classes:
            raise DataError(
                f"no images in class folders at {self._where()}; expected class/picture with one "
                f"of the endings {' '.join(sorted(IMAGE_SUFFIXES))}"
            )
        folders = {name for name in self._storage.folders if name.parts}
        below = {name.name for name in folders if name.parent == self._root}
        empty = sorted(below - classes)
        if empty:
            raise DataError(
                f"class folders without images at {self._where()}: {', '.join(empty)}; "
                "fill or remove them"
            )


def _find_split(storage: ImageStorage, split: str) -> PurePosixPath:
    """Return the folder of a split: at the top or, if there is none, one folder deeper."""
    named = sorted(
        (folder for folder in storage.folders if folder.name == split and len(folder.parts) <= 2),
        key=lambda folder: (len(folder.parts), folder),
    )
    found = [folder for folder in named if len(folder.parts) == len(named[0].parts)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"more than one split '{split}' at {storage.path}: {', '.join(map(str, found))}; "
            "open the folder above one of them"
        )
    # Any folder with pictures two levels below it has class folders, and may be a split.
    above = {name.parents[1] for name in storage.files if len(name.parts) > 2}
    splits = ", ".join(f"'{folder}'" for folder in sorted(above) if 0 < len(folder.parts) <= 2)
    raise DataError(
        f"no split '{split}' at {storage.path}; found: "
        + (splits or "none (if the class folders are at the top, use ImageFolder(path))")
    )
