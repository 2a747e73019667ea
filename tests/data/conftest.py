"""Pictures and folders of pictures that the tests of this room are made from."""

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isozoo.data import ImageFolder, InMemoryImages


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Encode a Pillow image or an array as the bytes of a file."""

    def encode(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
        picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Uniform random pixels of a given shape."""

    def noise(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)

    return noise


@pytest.fixture
def photograph() -> Callable[[int, int], np.ndarray]:
    """A smooth picture with an edge and some grain, as photographs have."""

    def photograph(height: int, width: int) -> np.ndarray:
        down, across = np.mgrid[0:height, 0:width] / max(height, width)
        waves = [np.sin(9 * down + 5 * across * channel) for channel in (1, 2, 3)]
        pixels = 110 + 80 * np.stack(waves, axis=-1) + 50 * (across > down)[..., None]
        pixels += np.random.default_rng(1).normal(0, 6, pixels.shape)
        return pixels.clip(0, 255).astype(np.uint8)

    return photograph


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Iterable[str]], Path]:
    """Make a folder with the named files, each picture of another grey; returns the folder."""

    def tree(names: Iterable[str]) -> Path:
        root = tmp_path / "pictures"
        root.mkdir()
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
                kind = "png" if path.suffix == ".png" else "jpeg"
                Image.new("RGB", (6, 5), (number,) * 3).save(path, kind)
            else:
                path.write_text("not a picture")
        return root

    return tree


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[Path], Path]:
    """Pack a folder's files into a tar beside it, in the order of their names reversed."""

    def pack(folder: Path, mode: str = "w") -> Path:
        path = tmp_path / "pictures.tar"
        with tarfile.open(path, mode) as archive:
            for name in sorted(folder.rglob("*"), reverse=True):
                archive.add(name, name.relative_to(folder), recursive=False)
        return path

    return pack


@pytest.fixture
def numbered() -> Callable[..., InMemoryImages]:
    """Images that can be told apart: image i is of class i and all its pixels have the value i."""

    def numbered(count: int, height: int = 20, width: int = 24) -> InMemoryImages:
        values = np.arange(count, dtype=np.uint8)[:, None, None, None]
        images = np.broadcast_to(values, (count, height, width, 3))
        return InMemoryImages(images, range(count), [str(number) for number in range(count)])

    return numbered


@pytest.fixture(scope="session")
def imagenette(shared: Path) -> ImageFolder:
    """The validation photographs of Imagenette, where they are at hand."""
    archive = shared / "data" / "imagenette2-160.tar"
    if not archive.is_file():
        pytest.skip("Imagenette is not beside the repository")
    return ImageFolder.open(archive, "val")
