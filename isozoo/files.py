"""Files that are either written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isozoo.errors import WeightsError


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and hexadecimal SHA-256 of one file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileRecord:
        """Measure a file on disk."""
        return cls(Path(path).stat().st_size, sha256_file(path))


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the hexadecimal SHA-256 of a file, read in pieces.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    A reader sees the old content or the new, never a part; a full disk leaves the old file.

    Args:
        path: The file to write; its folder must exist.
        content: Bytes, or text that is written as UTF-8.

    Raises:
        OSError: The folder is missing or the disk is full; the temporary file is removed.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty sibling folder that takes the place of `path` when the block succeeds.

    The folder that stood at `path` stays until the new one is complete; if the block raises, the
    old one is untouched and the new one is removed.

    Args:
        path: The folder to write; its parent is made if needed.

    Yields:
        The temporary folder to write into.

    Raises:
        NotADirectoryError: `path` exists and is a file.
        OSError: The new folder could not take its place; the old one is back, or the message says
            where it is.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"cannot write a folder at {target}: a file of that name exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        _take_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(temporary: Path, target: Path) -> None:
    """Put a folder where another may stand, which is removed last or put back."""
    old = temporary.with_name(temporary.name + ".old")
    try:
        if target.exists():
            os.replace(target, old)
        os.replace(temporary, target)
    except BaseException as error:
        if not temporary.exists():
            # The interrupt came just after the new folder took its place.
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():
            try:
                os.replace(old, target)
            except OSError as failure:
                raise OSError(
                    f"cannot write {target} ({error!r}), nor put back what was there ({failure}); "
                    f"it is in {old}, rename that to {target.name}"
                ) from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    # Reading the umask is only possible by setting it; mkstemp and mkdtemp ignore it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_file(path: Path, record: FileRecord, advice: str) -> None:
    """Refuse a file of another size or content than was written down, and say what to do.

    Raises:
        WeightsError: It is another.
    """
    size = path.stat().st_size
    if size != record.size:
        raise WeightsError(
            f"{path} is truncated or changed: expected {record.size} bytes, found {size}; {advice}"
        )
    digest = sha256_file(path)
    if digest != record.sha256:
        raise WeightsError(
            f"{path} is corrupt or changed: expected sha256 {record.sha256}, found {digest}; "
            f"{advice}"
        )
