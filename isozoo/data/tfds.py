"""Data sets of TensorFlow Datasets, read by the number of the sample and without TensorFlow."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock

from isozoo.data.images import open_image
from isozoo.data.samples import InMemoryImages, Samples, check_labels, progress
from isozoo.errors import DataError, MissingExtraError
from isozoo.files import atomic_write

_LOG = logging.getLogger(__name__)

#: What a split may be called instead, in order.
SPLITS: dict[str, tuple[str, ...]] = {"val": ("val", "validation", "test")}
#: Bytes of a split without random access that are read to memory.
IN_MEMORY = 4 * 2**30
_INFO = "dataset_info.json"
_FORMAT = "array_record"


class PreparedImages:
    """One split of a data set that TensorFlow Datasets keeps as records with random access.

    Pictures stay encoded as they were published and are decoded as those of a folder are, by
    `open_image`. All labels are read once, which takes a pass over the records, and kept in a file
    beside them where that can be written, until the records are others.

    Attributes:
        classes: Class names; a label is an index into them.
        labels: int32 labels `(samples,)`.

    Args:
        builder: The data set's builder.
        split: Its own name of the split.

    Raises:
        DataError: It is not a data set of images with classes, or a label has no class.
    """

    def __init__(self, builder: Any, split: str) -> None:
        import tensorflow_datasets as tfds

        self._name = f"{builder.info.full_name} {split}"
        self._image, label = _keys(builder)
        self.classes: tuple[str, ...] = tuple(builder.info.features[label].names)
        skip = {self._image: tfds.decode.SkipDecoding()}
        self._source = builder.as_data_source(split, decoders=skip)
        kept = Path(builder.data_dir) / f"isozoo-labels-{split}.npz"
        key = _written(kept.parent)
        labels = _read_labels(kept, key, len(self._source))
        if labels is None:
            labels = _scan(self._source, label, self._name)
            _keep_labels(kept, key, labels)
        _check_labels(labels, self._name)
        check_labels(labels, self.classes)
        self.labels: np.ndarray = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<PreparedImages {self._name}: {len(self)} images of {len(self.classes)} classes>"

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of one picture.

        Args:
            index: The sample's number.

        Returns:
            The pixels, upright and in RGB; see `open_image`.

        Raises:
            ImageError: The picture is damaged; the error names its number.
        """
        data = self._source[index][self._image]
        return np.asarray(open_image(data, name=f"image {index} of {self._name}"))


def is_prepared(folder: Path) -> bool:
    """Say whether a folder is one that TensorFlow Datasets prepared, or holds one.

    Args:
        folder: The folder of a version, a configuration or a whole data set.
    """
    return bool(_versions(folder))


def open_prepared(folder: Path, split: str) -> Samples:
    """Open a split of a data set that TensorFlow Datasets prepared.

    Args:
        folder: See `is_prepared`.
        split: Name of the split, see `SPLITS`.

    Raises:
        DataError: There is more than one data set, it is not one of images with classes, it has no
            such split, or is kept in a form without random access and is too large for memory.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    tfds = _library(f"{folder} was prepared by TensorFlow Datasets, which reads it")
    found = _versions(folder)
    if len(found) > 1:
        several = ", ".join(str(path.relative_to(folder)) for path in found)
        raise DataError(f"{folder} holds more than one data set: {several}; name one of them")
    return _open(tfds.builder_from_directory(found[0]), split)


def open_named(name: str, split: str) -> Samples:
    """Open a split of one of the data sets that TensorFlow Datasets knows; prepare it if needed.

    Args:
        name: Its name, with a configuration and a version if wanted: `"name/config:1.0.0"`.
        split: Name of the split, see `SPLITS`.

    Raises:
        DataError: There is no such data set, it cannot be prepared, or see `open_prepared`.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    tfds = _library(
        f"no image folder at {name}: there is no such folder or tar file; to find a data set of "
        "that name is the work of TensorFlow Datasets"
    )
    short = name.partition(":")[0].partition("/")[0]
    known = tfds.list_builders(with_community_datasets=False)
    if short not in known:
        near = difflib.get_close_matches(short, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "check the path"
        raise DataError(
            f"no image folder at {name}: there is no such folder or tar file, and TensorFlow "
            f"Datasets knows no '{short}'; {hint}"
        )
    try:
        builder = _builder(name)
    except (AssertionError, ValueError) as error:  # a wrong version, a wrong configuration
        configs = [config.name for config in tfds.builder_cls(short).BUILDER_CONFIGS]
        listed = f"; its configurations: {', '.join(configs)}" if configs else ""
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot open '{name}' of TensorFlow Datasets: {reason}{listed}") from error
    if not builder.is_prepared():
        builder = _prepared(builder, name)
    return _open(builder, split)


def _library(why: str) -> Any:
    try:
        import tensorflow_datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{why}: pip install 'isozoo[train]'") from error
    return tensorflow_datasets


def _versions(folder: Path) -> list[Path]:
    """Return the prepared folders at a folder, one below it (its versions), or two below it."""
    for pattern in (_INFO, f"*/{_INFO}", f"*/*/{_INFO}"):
        found = sorted(path.parent for path in folder.glob(pattern))
        if found:
            return found
    return []


def _builder(name: str) -> Any:
    """Return the builder of what is prepared under a name, or of what may be."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name)
    return builder if builder.is_prepared() else tfds.builder(name, file_format=_FORMAT)


def _prepared(builder: Any, name: str) -> Any:
    """Prepare a data set unless another process has done so in the meantime.

    Several that need it at once, such as the workers of a run, wait for the first: its library lets
    each of them download all of it, and all but one fail at the end.
    """
    target = Path(builder.data_dir)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            found = _builder(name)
            if not found.is_prepared():
                _prepare(found, name)
            return found
    # Anything may happen: no network, a file that only its owner may fetch, a library of one data
    # set alone.
    except Exception as error:
        needs = "; some data sets can be prepared only where TensorFlow is installed"
        raise DataError(
            f"TensorFlow Datasets could not prepare {name} in {builder.data_dir}: {error}"
            + (needs if isinstance(error, ImportError) else "")
        ) from error


def _prepare(builder: Any, name: str) -> None:
    """Download and prepare a data set; what its library prints goes to stderr."""
    import tensorflow_datasets as tfds

    _LOG.info("preparing %s in %s", name, builder.data_dir)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(file_format=_FORMAT)
    finally:
        tfds.enable_progress_bar()


def _open(builder: Any, split: str) -> Samples:
    splits = builder.info.splits
    own = next((name for name in SPLITS.get(split, (split,)) if name in splits), None)
    if own is None:
        raise DataError(
            f"no split '{split}' in {builder.info.full_name}; found: {', '.join(sorted(splits))}"
        )
    if any(kind.value == _FORMAT for kind in builder.info.available_file_formats()):
        return PreparedImages(builder, own)
    return _in_memory(builder, own)


def _in_memory(builder: Any, split: str) -> InMemoryImages:
    """Read a split that has no random access, still encoded."""
    import tensorflow_datasets as tfds

    size = builder.info.splits[split].num_bytes
    kind = builder.info.file_format.value
    convert = (
        "convert it: pip install tensorflow apache-beam mlcroissant && tfds convert_format "
        f"--dataset_version_dir={builder.data_dir} --out_file_format={_FORMAT}"
    )
    if size > IN_MEMORY:
        raise DataError(
            f"{builder.info.full_name} is kept as {kind}, which has no random access, and its "
            f"{size / 2**30:.1f} GiB are too many to read to memory; {convert}"
        )
    image, label = _keys(builder)
    try:
        records = builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(
                {image: True, label: True}, decoders={image: tfds.decode.SkipDecoding()}
            ),
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
        count = builder.info.splits[split].num_examples
        rows = [
            (record[image], int(record[label]))
            for record in progress(tfds.as_numpy(records), count, "Reading images")
        ]
    except ModuleNotFoundError as error:
        raise DataError(
            f"{builder.info.full_name} is kept as {kind}, which only TensorFlow reads, and that is "
            f"not installed; where it is, {convert}"
        ) from error
    labels = np.array([label for _, label in rows], np.int32)
    _check_labels(labels, f"{builder.info.full_name} {split}")
    return InMemoryImages([data for data, _ in rows], labels, builder.info.features[label].names)


def _keys(builder: Any) -> tuple[str, str]:
    """Return under which names a record has its picture and its class."""
    import tensorflow_datasets as tfds

    features: Mapping[str, Any] = builder.info.features
    pair = builder.info.supervised_keys
    if not pair:
        pair = [
            next((name for name, feature in features.items() if isinstance(feature, kind)), "")
            for kind in (tfds.features.Image, tfds.features.ClassLabel)
        ]
    kinds = [type(features[name]) for name in pair[:2] if name in features]
    if kinds != [tfds.features.Image, tfds.features.ClassLabel]:
        raise DataError(
            f"{builder.info.full_name} is no data set of images with one class each: its records "
            f"hold {', '.join(features)}"
        )
    return pair[0], pair[1]


def _check_labels(labels: np.ndarray, name: str) -> None:
    if not len(labels) or labels.min() < 0:
        raise DataError(f"{name} does not say the classes of its images; choose another split")


def _scan(records: Sequence[Mapping[str, Any]], label: str, name: str) -> np.ndarray:
    labels = (int(record[label]) for record in records)
    shown = progress(labels, len(records), f"Reading the labels of {name}")
    return np.fromiter(shown, np.int32, len(records))


def _written(folder: Path) -> str:
    """Return what is another once any of a data set's records have been written anew."""
    files = [folder / _INFO, *sorted(folder.glob(f"*{_FORMAT}*"))]
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()


def _read_labels(path: Path, key: str, count: int) -> np.ndarray | None:
    """Return the labels that `_keep_labels` kept under a key, if they are there and whole."""
    damage = (OSError, EOFError, ValueError, KeyError, BadZipFile)
    with contextlib.suppress(*damage), np.load(path, allow_pickle=False) as kept:
        labels = kept["labels"]
        if str(kept["key"]) == key and labels.shape == (count,):
            return labels.astype(np.int32)
    return None


def _keep_labels(path: Path, key: str, labels: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), labels=labels)
    try:
        atomic_write(path, buffer.getvalue())
    except OSError as error:
        _LOG.info("the labels are not kept and will be read again: %s", error)
