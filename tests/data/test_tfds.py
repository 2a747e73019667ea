import builtins
import logging
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow_datasets as tfds

from isozoo.data import ImageFolder, InMemoryImages, open_split
from isozoo.data import tfds as room
from isozoo.errors import DataError, MissingExtraError
from tests.prepared import CLASSES, SPLITS, DrawnSquares, picture, prepare


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    """A data set with random access."""
    return prepare(tmp_path_factory.mktemp("records"), "array_record")


@pytest.fixture(scope="module")
def tfrecords(tmp_path_factory) -> Path:
    """The same without."""
    return prepare(tmp_path_factory.mktemp("tfrecords"), "tfrecord")


def check(samples, split):
    """Check that samples are those of a split, in whatever order."""
    assert samples.classes == CLASSES
    assert len(samples) == SPLITS[split] == len(samples.labels)
    assert samples.labels.dtype == np.int32
    expected = [np.asarray(picture(split, number)) for number in range(SPLITS[split])]
    numbers = []
    for index, label in enumerate(samples.labels):
        pixels = samples.image(index)
        (number,) = [i for i, other in enumerate(expected) if np.array_equal(pixels, other)]
        assert label == number % 3
        numbers.append(number)
    assert sorted(numbers) == list(range(SPLITS[split]))


@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_prepared_folder_is_opened_at_the_version_or_above(records, above):
    folder = [records, *records.parents][above]
    check(open_split(folder, "train"), "train")
    check(open_split(str(folder), "val"), "test")


def test_labels_are_read_once_and_kept(records, monkeypatch):
    first = open_split(records, "train")
    assert (records / "isozoo-labels-train.npz").is_file()
    monkeypatch.setattr(room, "_scan", None)
    np.testing.assert_array_equal(open_split(records, "train").labels, first.labels)


def test_labels_that_do_not_fit_are_read_anew(records):
    kept = records / "isozoo-labels-test.npz"
    open_split(records, "test")
    with np.load(kept) as found:
        key = found["key"]
    np.savez(kept, key=key, labels=np.zeros(12, np.int32))
    assert not open_split(records, "test").labels.any(), "what is kept is not read"

    for damage in (
        {"key": key, "labels": np.zeros(3, np.int32)},
        {"key": np.array("another"), "labels": np.zeros(12, np.int32)},
        {"key": key},
        {},
    ):
        np.savez(kept, **damage)
        check(open_split(records, "test"), "test")
    for damage in (b"", b"damaged", b"PK damaged"):
        kept.write_bytes(damage)
        check(open_split(records, "test"), "test")


def test_labels_of_other_records_are_not_trusted(records, tmp_path, monkeypatch):
    def relabelled(self, split, generate=DrawnSquares._generate_examples):
        for number, record in generate(self, split):
            yield number, {**record, "label": (record["label"] + 1) % 3}

    root = shutil.copytree(records, tmp_path / "records" / "drawn_squares" / "1.0.0")
    before = open_split(root, "train").labels
    monkeypatch.setattr(DrawnSquares, "_generate_examples", relabelled)
    shutil.copytree(prepare(tmp_path, "array_record"), root, dirs_exist_ok=True)
    np.testing.assert_array_equal(open_split(root, "train").labels, (before + 1) % 3)


def test_a_label_without_a_class_is_refused(records, monkeypatch):
    (records / "isozoo-labels-test.npz").unlink(missing_ok=True)
    monkeypatch.setattr(room, "_scan", lambda source, *names: np.arange(len(source)))
    with pytest.raises(DataError, match="labels run from 0 to 11 but there are 3 classes"):
        open_split(records, "test")
    (records / "isozoo-labels-test.npz").unlink()


def test_labels_need_not_be_kept(records, monkeypatch, caplog):
    (records / "isozoo-labels-test.npz").unlink(missing_ok=True)

    def full(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(room, "atomic_write", full)
    with caplog.at_level(logging.INFO):
        check(open_split(records, "test"), "test")
    assert "the labels are not kept and will be read again: [Errno 30]" in caplog.text


def test_a_split_without_random_access_is_read_to_memory(tfrecords):
    samples = open_split(tfrecords, "train")
    assert isinstance(samples, InMemoryImages)
    check(samples, "train")


def test_one_too_large_for_memory_names_the_command_that_converts_it(tfrecords, monkeypatch):
    monkeypatch.setattr(room, "IN_MEMORY", 1000)
    message = (
        r"drawn_squares/1.0.0 is kept as tfrecord, which has no random access, and its 0.0 GiB are "
        r"too many .*tfds convert_format --dataset_version_dir=.* --out_file_format=array_record"
    )
    with pytest.raises(DataError, match=message):
        open_split(tfrecords, "train")


def test_an_unknown_split_lists_those_there_are(records):
    with pytest.raises(
        DataError, match=r"no split 'dev' in drawn_squares/1.0.0; found: test, train"
    ):
        open_split(records, "dev")


def test_more_than_one_data_set_in_a_folder(records, tmp_path):
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "set" / version).mkdir(parents=True)
        (tmp_path / "set" / version / "dataset_info.json").write_text("{}")
    with pytest.raises(DataError, match=r"more than one data set: 1\.0\.0, 1\.1\.0; name one"):
        open_split(tmp_path / "set", "train")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar1o", "knows no 'cifar1o'; did you mean 'cifar10'"),
        ("my/pictures", r"no image folder at my/pictures: .*knows no 'my'"),
        ("imagenette/160px-v9", "its configurations: full-size-v2, 320px-v2, 160px-v2"),
        ("cifar10:9.9.9", r"cannot be loaded at version 9\.9\.9, only: 3\.0\.2"),
        ("no/such/folder", "no image folder at no/such/folder: there is no such folder or tar"),
        ("pictures.tar", "no image folder at pictures.tar: there is no such folder or tar file$"),
    ],
)
def test_names_that_are_wrong(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        open_split(name, "train")


def test_a_folder_hides_a_data_set_of_its_name(tree, monkeypatch):
    root = tree(["cifar10/train/a/0.png"])
    monkeypatch.chdir(root)
    assert isinstance(open_split("cifar10", "train"), ImageFolder)


def test_a_data_set_is_prepared_by_its_name_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        tfds, "builder", lambda name, **more: DrawnSquares(data_dir=tmp_path, **more)
    )
    monkeypatch.setattr(tfds, "list_builders", lambda **kind: ["drawn_squares"])
    check(open_split("drawn_squares", "val"), "test")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Downloading and preparing" in printed.err
    assert list(tmp_path.rglob("*.array_record*"))
    monkeypatch.setattr(room, "_prepare", None)
    check(open_split(Path("drawn_squares:1.0.0"), "train"), "train")


def test_two_that_need_a_data_set_at_once_prepare_it_once(tmp_path, monkeypatch):
    together, written = threading.Barrier(2), []

    def slowly(self, split, generate=DrawnSquares._generate_examples):
        written.append(split)
        time.sleep(0.2)
        yield from generate(self, split)

    monkeypatch.setattr(DrawnSquares, "_generate_examples", slowly)
    monkeypatch.setattr(
        tfds, "builder", lambda name, **more: DrawnSquares(data_dir=tmp_path, **more)
    )

    def known(**kind):
        together.wait(60)
        return ["drawn_squares"]

    monkeypatch.setattr(tfds, "list_builders", known)
    with ThreadPoolExecutor(2) as pool:
        for samples in pool.map(lambda _: open_split("drawn_squares", "val"), range(2)):
            check(samples, "test")
    assert sorted(written) == ["test", "train"]


def test_what_cannot_be_prepared_says_why(tmp_path, monkeypatch):
    class Builder:
        data_dir = str(tmp_path)

        def __init__(self, error):
            self.error = error

        def is_prepared(self):
            return False

        def download_and_prepare(self, **options):
            raise self.error

    for error, message in (
        (OSError("no network"), r"could not prepare cifar10 in .*: no network$"),
        (ModuleNotFoundError("No module named 'tensorflow'"), "only where TensorFlow is installed"),
    ):
        monkeypatch.setattr(tfds, "builder", lambda name, error=error, **more: Builder(error))
        with pytest.raises(DataError, match=message):
            open_split("cifar10", "train")


def test_a_data_set_without_classes_is_refused(records):
    info = tfds.builder_from_directory(records).info
    for keys in (None, ("image", "count")):
        features = {"image": info.features["image"], "count": tfds.features.Scalar(dtype=np.int64)}
        builder = SimpleNamespace(
            info=SimpleNamespace(features=features, supervised_keys=keys, full_name="counts/1.0.0")
        )
        with pytest.raises(DataError, match=r"counts/1\.0\.0 is no .* records hold image, count"):
            room._keys(builder)


def test_labels_that_are_not_given_are_refused():
    with pytest.raises(DataError, match="imagenet test does not say the classes of its images"):
        room._check_labels(np.array([-1, -1]), "imagenet test")


def test_the_library_is_named_where_it_is_missing(records, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow_datasets")
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "tensorflow_datasets":
            raise ModuleNotFoundError("No module named 'tensorflow_datasets'", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"^no image folder at cifar10: .*isozoo\[train\]"):
        open_split("cifar10", "train")
    with pytest.raises(MissingExtraError, match=r"was prepared by .*: pip install 'isozoo\[tra"):
        open_split(records, "train")
