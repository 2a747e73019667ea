"""Image files of any common kind, opened as upright 8-bit RGB pictures."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from isozoo.errors import DataError, ImageError

IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Endings, in lower case, of the files that count as images in a folder."""

_WITHOUT_RANGE = frozenset({"I", "F"})


def open_image(
    source: str | os.PathLike[str] | bytes | BinaryIO, name: str | None = None
) -> Image.Image:
    """Open an image as an upright RGB picture, whatever its file holds.

    The EXIF orientation is applied; CMYK, palette and greyscale become RGB; 16-bit greyscale keeps
    its upper eight bits; transparency is laid over white; of an animation the first frame is used.
    The picture is read to its last byte, so a truncated file is found here and not later.

    Args:
        source: A path, the bytes of a file, or a binary stream.
        name: What errors call the image; by default the path, or what kind of source it is.

    Returns:
        A loaded `PIL.Image.Image` of mode RGB.

    Raises:
        ImageError: There is no such file, or it is empty, truncated, of an unknown kind, too large
            to be honest (Pillow's limit against decompression bombs), or has no fixed range.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> buffer = io.BytesIO()
        >>> Image.new("LA", (4, 3), (0, 0)).save(buffer, "png")
        >>> picture = open_image(buffer.getvalue())
        >>> picture.mode, picture.size, picture.getpixel((0, 0))
        ('RGB', (4, 3), (255, 255, 255))
    """
    label = name or _describe(source)
    data = _read(source, label)
    if not data:
        raise ImageError(f"cannot read {label} as an image: it is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return to_rgb(image)
    except ImageError as error:
        raise ImageError(f"cannot read {label} as an image: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            f"cannot read {label} as an image: its {len(data)} bytes are of no known image format"
        ) from error
    # Pillow's decoders raise nearly every built-in exception on damaged files (OSError,
    # SyntaxError, struct.error, EOFError, ...): all of them mean that this is not a sound image.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"cannot read {label} as an image: {reason}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn an opened picture of any mode upright and into 8-bit RGB, transparency over white.

    Args:
        image: A Pillow image.

    Returns:
        A Pillow image of mode RGB that shares nothing with an open file.

    Raises:
        ImageError: The pixels are 32-bit numbers, which have no fixed black and white.

    Example:
        >>> from PIL import Image
        >>> to_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in _WITHOUT_RANGE:
        raise ImageError(
            f"its pixels are 32-bit numbers (mode {image.mode}) without a fixed black and white; "
            "convert it to 8 bits first"
        )
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return image.convert("RGB")


def image_paths(path: str | os.PathLike[str]) -> list[Path]:
    """List the image files at a path: the file itself, or all below a folder, sorted.

    Hidden files and folders (their name starts with a dot) are left out.

    Args:
        path: An image file or a folder.

    Returns:
        At least one path.

    Raises:
        DataError: Nothing exists at the path, or the folder holds no image.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise DataError(f"no images at {root}: there is no such file or folder")
    found = sorted(entry for entry in root.rglob("*") if is_image_name(entry.relative_to(root)))
    if not found:
        endings = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"no images in the folder {root}; looked for files ending in {endings}")
    return found


def is_image_name(path: os.PathLike[str]) -> bool:
    """Say whether a relative path ends like an image file and no part of it is hidden.

    Args:
        path: A path below the folder that is searched.

    Returns:
        True for the paths that count as images.

    Example:
        >>> from pathlib import PurePosixPath
        >>> [is_image_name(PurePosixPath(name)) for name in ("a/b.JPEG", "a/._b.jpg", "a/b.txt")]
        [True, False, False]
    """
    parts = Path(path).parts
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and Path(path).suffix.lower() in IMAGE_SUFFIXES


def _describe(source: object) -> str:
    if isinstance(source, bytes):
        return "the given bytes"
    if isinstance(source, str | os.PathLike):
        return f"'{os.fspath(source)}'"
    name = getattr(source, "name", None)
    return f"'{name}'" if name else "the given stream"


def _read(source: str | os.PathLike[str] | bytes | BinaryIO, label: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        if isinstance(source, str | os.PathLike):
            return Path(source).read_bytes()
        return source.read()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageError(f"cannot read {label} as an image: {reason}") from error
