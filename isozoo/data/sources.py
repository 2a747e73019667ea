"""Where a data set lies: a folder, a tar file, or what TensorFlow Datasets prepares."""

from __future__ import annotations

import os
import re
from pathlib import Path

from isozoo.data import tfds
from isozoo.data.folder import ImageFolder
from isozoo.data.samples import Samples

_NAME = re.compile(r"[a-z]\w*(/[\w.+-]+)?(:[\d.*]+)?")


def open_split(data: str | os.PathLike[str], split: str) -> Samples:
    """Open one split of a data set, wherever it is.

    Args:
        data: An existing path: a folder or an uncompressed tar file of `<split>/<class>/*` (see
            `ImageFolder`), or a folder that TensorFlow Datasets prepared. Otherwise the name of
            one of its data sets, such as `"cifar10"` or `"imagenette/160px-v2"`, with a version
            if wanted: `"cifar10:3.0.2"`. It is downloaded and prepared once, in
            `~/tensorflow_datasets` or where the environment variable `TFDS_DATA_DIR` says.
        split: `"train"` or `"val"`, which is found as `validation` or `test`, too; or another
            split's own name.

    Returns:
        The labelled images.

    Raises:
        DataError: Nothing is there and no data set has that name, it is not one of images with
            classes, or it has no such split.
        MissingExtraError: It is no path, and TensorFlow Datasets is not installed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     folder = Path(root, "val", "cat")
        ...     folder.mkdir(parents=True)
        ...     Image.new("RGB", (4, 3)).save(folder / "1.png")
        ...     open_split(root, "val").classes
        ('cat',)
    """
    place = Path(data)
    if place.is_dir() and tfds.is_prepared(place):
        return tfds.open_prepared(place, split)
    name = os.fspath(data)
    if not place.exists() and _NAME.fullmatch(name):
        return tfds.open_named(name, split)
    return ImageFolder.open(data, split)
