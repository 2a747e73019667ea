"""Fetching and converting released checkpoints; PyTorch and gdown have stand-ins here."""

import json
import threading
import types
import zipfile

import huggingface_hub
import numpy as np
import pytest

import isozoo
from isozoo.errors import DataError, MissingExtraError, UnknownNameError, WeightsError
from isozoo.files import FileRecord
from isozoo.models.folder import load_folder
from isozoo.models.manifest import CARD, read_manifest
from isozoo.models.variables import named_values
from isozoo.zoo import catalog, convert, convert_checkpoint, convert_release
from isozoo.zoo.store import downloads_directory, store_directory, stored
from isozoo.zoo.torchfile import import_extra
from tests.keyed import keyed_state_dict

NAME = "r-isonet-8.imagenet"
RELEASES = {
    "source": "https://github.com/HaozhiQi/ISONet",
    "licence": "MIT",
    "weights": [{"name": NAME, "dropout": 0.25, "top1": 0.5, "file_id": "abc123"}],
}


class DownloadError(Exception):
    """Stands for gdown's."""


class RequestException(OSError):
    """Stands for that of requests."""


class Drive:
    """Stands for gdown, and counts what is asked of it."""

    def __init__(self):
        self.exceptions = types.SimpleNamespace(DownloadError=DownloadError)
        self.asked = []
        self.error = None
        self.content = None

    def download(self, id, output, quiet, resume, use_cookies, timeout, retries, progress):
        self.asked.append(id)
        assert quiet
        assert resume
        assert timeout
        assert not use_cookies
        progress(1, None)
        progress(2, 2)
        if self.error is not None:
            raise self.error
        with open(output, "wb") as file:
            file.write(self.content)
        return output


@pytest.fixture(scope="module")
def values():
    """A state_dict of r-isonet-8 under the authors' names, five classes."""
    shapes = {"stem.conv.weight": [16, 3, 3, 3], "stem.relu.srelu_bias": [1, 16, 1, 1]}
    inputs = 16
    for stage, width in enumerate((16, 32, 64), start=1):
        block = f"s{stage}.b1"
        shapes[f"{block}.f.a.weight"] = [width, inputs, 3, 3]
        shapes[f"{block}.f.a_relu.srelu_bias"] = [1, width, 1, 1]
        shapes[f"{block}.f.b.weight"] = [width, width, 3, 3]
        shapes[f"{block}.f.shared_scalar.scale"] = [1, 1, 1, 1]
        shapes[f"{block}.relu.srelu_bias"] = [1, width, 1, 1]
        if inputs != width:
            shapes[f"{block}.proj.weight"] = [width, inputs, 1, 1]
        inputs = width
    return keyed_state_dict({**shapes, "head.fc.weight": [5, 64], "head.fc.bias": [5]})


@pytest.fixture
def drive(zoo, tmp_path, monkeypatch, values):
    """A catalog with one release, an empty store, and stand-ins for the extra's packages."""
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    catalog.RELEASES.write_text(json.dumps(RELEASES))
    catalog.CATALOG.write_text(catalog.build_catalog())
    catalog._read_weights.cache_clear()
    drive = Drive()
    with zipfile.ZipFile(tmp_path / "authors.pt", "w") as file:
        file.writestr("best/data.pkl", b"numbers")
    drive.content = (tmp_path / "authors.pt").read_bytes()
    (tmp_path / "r-isonet-8.pt").write_bytes(drive.content)
    modules = {
        "gdown": drive,
        "requests": types.SimpleNamespace(
            exceptions=types.SimpleNamespace(RequestException=RequestException)
        ),
        "torch": None,
    }
    monkeypatch.setattr(convert, "import_extra", lambda name, purpose: modules[name])
    monkeypatch.setattr(convert, "read_checkpoint", lambda path: values)
    return drive


# Fetching


def test_a_released_checkpoint_is_fetched_and_converted(drive, values):
    done = convert_checkpoint(NAME)
    assert drive.asked == ["abc123"]
    assert done.folder == store_directory() / NAME == stored(NAME)
    assert done.checkpoint == downloads_directory() / f"{NAME}.pt"
    assert done.found == FileRecord.of(done.checkpoint)
    assert done.checkpoint.read_bytes() == drive.content
    assert done.release == isozoo.info(NAME).release
    assert [path.name for path in downloads_directory().iterdir()] == [f"{NAME}.pt"]
    model = load_folder(done.folder)
    found = named_values(model)["s2_b1_proj/kernel"]
    np.testing.assert_array_equal(found, values["s2.b1.proj.weight"].transpose(2, 3, 1, 0))


def test_a_converted_folder_says_what_its_record_says(drive):
    done = convert_checkpoint("r-isonet-8")
    manifest = read_manifest(done.folder)
    assert (manifest.full_name, manifest.licence) == (NAME, "MIT")
    credit = f"released by the authors of {done.release.source}"
    for text in (manifest.source, (done.folder / CARD).read_text("utf-8")):
        assert credit in text
        assert done.found.sha256 in text
    assert manifest.architecture.dropout == 0.25
    assert manifest.labels == ("0", "1", "2", "3", "4")
    assert manifest.metrics == {}  # what the authors report was not measured


def test_converted_weights_are_loaded_by_their_name(drive):
    folder = convert_checkpoint(NAME).folder
    for name in (NAME, "r-isonet-8"):
        assert isozoo.load(name).load_report.source == str(folder)


def test_loading_converts_what_is_not_here_yet(drive):
    assert isozoo.load(NAME).load_report.source == str(stored(NAME))
    assert drive.asked == ["abc123"]


def test_what_is_there_is_not_fetched_again(drive):
    first = convert_checkpoint(NAME)
    assert convert_checkpoint(NAME).found == first.found
    assert convert_release(isozoo.info(NAME)) == first.folder
    assert drive.asked == ["abc123"]


def test_several_that_ask_at_once_convert_once(drive, monkeypatch):
    record, folders, written = isozoo.info(NAME), [], []
    write = convert.write_folder

    def counted(*arguments, **options):
        written.append(1)
        return write(*arguments, **options)

    monkeypatch.setattr(convert, "write_folder", counted)
    threads = [
        threading.Thread(target=lambda: folders.append(convert_release(record))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [store_directory() / NAME] * 3
    assert (drive.asked, written) == (["abc123"], [1])


@pytest.mark.parametrize("error", [DownloadError("quota\n exceeded"), RequestException("no route")])
def test_a_download_that_fails_says_how_to_go_on(drive, error):
    drive.error = error
    with pytest.raises(
        WeightsError,
        match=r"cannot fetch r-isonet-8.imagenet from Google Drive \((quota exceeded|no route)\); "
        r"what arrived is kept in .*downloads, and the same command goes on from there. "
        r"Or open https://drive.google.com/file/d/abc123/view in a browser, save the file and run "
        r"`isozoo convert FILE --model r-isonet-8.imagenet`$",
    ):
        convert_release(isozoo.info(NAME))
    assert stored(NAME) is None


def test_offline_means_offline_here_too(drive, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE forbids to fetch r-isonet-8.imagenet"):
        isozoo.load(NAME)
    assert drive.asked == []


def test_a_full_disk_is_not_called_a_failed_download(drive):
    drive.error = OSError(28, "No space left on device", "x.part")
    with pytest.raises(OSError, match="No space left"):
        convert_release(isozoo.info(NAME))


@pytest.mark.parametrize("content", [b"<!DOCTYPE html>Quota exceeded", b"PK\x03\x04...", b""])
def test_what_came_instead_of_a_checkpoint_is_not_kept(drive, content):
    good, drive.content = drive.content, content
    with pytest.raises(WeightsError, match=r"imagenet.fetched is .*\. Or open https://drive"):
        convert_release(isozoo.info(NAME))
    assert list(downloads_directory().iterdir()) == []
    drive.content = good
    assert convert_release(isozoo.info(NAME)) == stored(NAME)


def test_a_fetched_checkpoint_that_is_refused_when_it_is_read_is_not_kept(drive, monkeypatch):
    def refuse(path):
        raise WeightsError(f"{path} is truncated or damaged: PyTorch cannot read it; fetch it")

    with monkeypatch.context() as patch:
        patch.setattr(convert, "read_checkpoint", refuse)
        with pytest.raises(
            WeightsError,
            match=rf"{NAME}.pt is truncated .* \(now deleted\)\. Or open https://drive",
        ):
            isozoo.load(NAME)
    assert list(downloads_directory().iterdir()) == []
    assert convert_release(isozoo.info(NAME)) == stored(NAME)
    assert drive.asked == ["abc123", "abc123"]


def test_a_file_of_one_s_own_is_never_deleted(drive, tmp_path):
    with pytest.raises(WeightsError, match="the checkpoint is not one of isonet-8: ") as found:
        convert_checkpoint(tmp_path / "authors.pt", "isonet-8.imagenet")
    assert "deleted" not in str(found.value)
    assert (tmp_path / "authors.pt").is_file()


def test_a_sound_download_is_kept_though_the_folder_cannot_be_written(drive, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "diary.txt").write_text("mine")
    with pytest.raises(WeightsError, match=r"it would replace diary.txt"):
        convert_checkpoint(NAME, out=tmp_path / "taken")
    assert [path.name for path in downloads_directory().iterdir()] == [f"{NAME}.pt"]


def test_a_name_to_fetch_takes_its_tag_from_beside_it(drive):
    assert convert_checkpoint("r-isonet-8", tag="imagenet").folder == stored(NAME)
    with pytest.raises(UnknownNameError, match=r"unknown weights .r-isonet-8.imagenet-nodropout."):
        convert_checkpoint("r-isonet-8", tag="imagenet-nodropout")
    assert drive.asked == ["abc123"]


@pytest.mark.parametrize("name", ["r-isonet-8.pets", "resnet-8"])
def test_what_nobody_released_cannot_be_fetched(drive, name):
    with pytest.raises(
        WeightsError, match=f"authors of {name} released no checkpoint; there are those of {NAME}"
    ):
        convert_checkpoint(name)


@pytest.mark.parametrize(("missing", "doing"), [("torch", "converting"), ("gdown", "fetching")])
def test_a_missing_extra_is_said_before_anything_is_fetched(drive, monkeypatch, missing, doing):
    present = convert.import_extra

    def imported(name, purpose):
        return import_extra("absent", purpose) if name == missing else present(name, purpose)

    monkeypatch.setattr(convert, "import_extra", imported)
    with pytest.raises(
        MissingExtraError,
        match=rf"^{doing} the authors' checkpoint of {NAME} needs absent, which is not installed; "
        r"pip install 'isozoo\[convert\]'$",
    ):
        isozoo.load(NAME)
    assert drive.asked == []


# Files


def test_a_file_of_a_released_network_goes_into_the_store(drive, tmp_path):
    for options in ({"model": NAME}, {"model": "r-isonet-8", "tag": "imagenet"}):
        done = convert_checkpoint(tmp_path / "authors.pt", **options)
        assert (done.folder, done.release) == (stored(NAME), isozoo.info(NAME).release)
        assert done.manifest.architecture.dropout == 0.25
    assert drive.asked == []


def test_any_other_file_goes_into_a_folder_of_its_name(drive, tmp_path):
    done = convert_checkpoint("authors.pt", "r-isonet-8", tag="cats", labels="abcde")
    assert done.folder.resolve() == tmp_path / "r-isonet-8.cats"
    assert (done.manifest.tag, done.manifest.licence, done.release) == ("cats", None, None)
    assert "of an origin that was not stated" in done.manifest.source
    assert done.manifest.labels == tuple("abcde")
    assert done.manifest.architecture.dropout == isozoo.architecture("r-isonet-8").dropout
    assert convert_checkpoint("authors.pt", "r-isonet-8").folder.name == "r-isonet-8"
    chosen = convert_checkpoint("authors.pt", NAME, out=tmp_path / "deep" / "here").folder
    assert read_manifest(chosen).full_name == NAME
    assert stored(NAME) is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"source": "authors.pt"},
            WeightsError,
            "cannot tell which network 'authors.pt' holds; say it, as in `isozoo convert authors.pt"
            f" --model r-isonet-50`. Without --model these can be fetched: {NAME}",
        ),
        (
            {"source": "authors.pt", "model": NAME, "tag": "cats"},
            WeightsError,
            "'r-isonet-8.imagenet' has another tag than 'cats'; give one of them",
        ),
        (
            {"source": NAME, "tag": "cats"},
            WeightsError,
            "'r-isonet-8.imagenet' has another tag than 'cats'; give one of them",
        ),
        (
            {"source": "r-isonet-8.pt"},
            WeightsError,
            "cannot tell which network 'r-isonet-8.pt' holds; say it, as in `isozoo convert "
            "r-isonet-8.pt --model r-isonet-50`",
        ),
        (
            {"source": "authors.pt", "model": "risonet-8"},
            UnknownNameError,
            "unknown architecture 'risonet-8'; did you mean 'r-isonet-8'",
        ),
        (
            {"source": "authors.pt", "model": "isonet-8"},
            WeightsError,
            r"the checkpoint is not one of isonet-8: \d+ keys without a variable",
        ),
        (
            {"source": "authors.pt", "model": "r-isonet-8", "labels": ["a", "b"]},
            DataError,
            "the checkpoint has 5 classes, 2 labels were given",
        ),
        ({"source": "r-isonet-8.cats"}, UnknownNameError, "unknown weights 'r-isonet-8.cats'"),
    ],
)
def test_what_cannot_be_converted_is_said(drive, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        convert_checkpoint(**arguments)
    assert not (tmp_path / "r-isonet-8").exists()
    assert stored(NAME) is None
