"""Whether a file is what its record, or the Hub, says it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from isozoo.files import FileRecord, sha256_file


def damage_of(path: Path, record: FileRecord) -> str | None:
    """Return in which way a file is not what it must be; None if it is."""
    try:
        size = path.stat().st_size
        if size != record.size:
            return f"expected {record.size} bytes, found {size}"
        digest = sha256_file(path)
    except FileNotFoundError:
        return "another process deleted it"
    return f"expected sha256 {record.sha256}, found {digest}" if digest != record.sha256 else None


def etag_of(path: str | os.PathLike[str], like: str) -> str:
    """Return the hash by which the Hub names a file: of the kind of another, which is given.

    Args:
        path: The file.
        like: 64 digits for a file in large file storage, which has its SHA-256; 40 for one in
            git, which has its blob's SHA-1.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as empty:
        ...     etag_of(empty.name, 40 * "0")
        'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    if len(like) == 64:
        return sha256_file(path)
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
