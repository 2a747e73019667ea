"""Checkpoints that are none, or not what they say: refused before PyTorch is asked."""

import importlib
import zipfile

import pytest

from isozoo.errors import MissingExtraError, WeightsError
from isozoo.zoo import torchfile
from isozoo.zoo.torchfile import check_container, import_extra, read_checkpoint, state_dict_of

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def archive(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def test_both_formats_of_torch_are_let_through(tmp_path):
    check_container(archive(tmp_path / "a.pt", {"best/data.pkl": b"x", "best/data/0": b"1234"}))
    (tmp_path / "b.pt").write_bytes(LEGACY + b"more")
    check_container(tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; fetch it again"),
        (b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded", "is a web page, not"),
        (b"\n  <html lang='en'>", "Google Drive and proxies answer so .* save the checkpoint and"),
        (b"<!-- saved -->\n<HTML>", "is a web page"),
        (b'{"net": 1}', r"not a PyTorch checkpoint: it begins with b'\{\"net\": '"),
        (b"cposix\nsystem\n(S'true'\ntR.", "not a PyTorch checkpoint"),
        (b"\x80\x04\x95", "not a PyTorch checkpoint"),
        (LEGACY[:-1], "not a PyTorch checkpoint"),
        (b"PK\x03\x04" + bytes(100), "is truncated or damaged: its table of contents cannot"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content, message):
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"^{path} .*{message}"):
        check_container(path)


def test_a_checkpoint_that_is_not_there_is_said(tmp_path):
    with pytest.raises(WeightsError, match=r"no checkpoint at .*x.pt: there is no such file; give"):
        read_checkpoint(tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"no checkpoint at .*: that is a folder; give the path"):
        read_checkpoint(tmp_path)


def test_a_truncated_archive_is_refused(tmp_path):
    path = archive(tmp_path / "best.pt", {"best/data.pkl": b"x", "best/data/0": bytes(9999)})
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 40):
        path.write_bytes(whole[:size])
        with pytest.raises(
            WeightsError, match=r"best.pt is truncated or damaged: .*fetch it again"
        ):
            check_container(path)


@pytest.mark.parametrize(
    "names", [["model.weights"], ["code/a.py", "constants.pkl", "data.pkl"], ["x/data.pkl.txt"]]
)
def test_other_archives_are_refused(tmp_path, names):
    path = archive(tmp_path / "best.pt", dict.fromkeys(names, b"x"))
    with pytest.raises(WeightsError, match=r"is an archive, but not a checkpoint \(it holds "):
        check_container(path)


@pytest.mark.parametrize("name", ["best/data/0", "best/data.pkl"])
def test_a_zip_bomb_is_refused_by_its_table_of_contents(tmp_path, name):
    entries = {"best/data.pkl": b"x", name: bytes(50_000_000)}
    path = archive(tmp_path / "best.pt", entries, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(
        WeightsError, match=r"bytes and claims to hold 50,000,\d\d\d .*is compressed\), which torch"
    ):
        check_container(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    """A bomb without compression: many names for the same place in the file."""
    path = archive(tmp_path / "best.pt", {"best/data.pkl": b"x", "best/data/0": bytes(100_000)})
    with zipfile.ZipFile(path, "a") as file:
        big = file.getinfo("best/data/0")
        for index in range(1, 50):
            copy = zipfile.ZipInfo(f"best/data/{index}")
            for name in ("header_offset", "file_size", "compress_size", "CRC", "flag_bits"):
                setattr(copy, name, getattr(big, name))
            copy.orig_filename = copy.filename
            file.filelist.append(copy)
            file.NameToInfo[copy.filename] = copy
        file._didModify = True
    with pytest.raises(WeightsError, match=r"claims to hold 5,000,001 \(its entries overlap\)"):
        check_container(path)


def test_a_file_larger_than_any_checkpoint_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torchfile, "LARGEST", 1000)
    path = archive(tmp_path / "best.pt", {"best/data.pkl": bytes(1000)})
    with pytest.raises(WeightsError, match=r"more than any checkpoint isozoo reads \(1,000\)"):
        check_container(path)


def test_the_state_dict_is_found_bare_or_wrapped():
    assert state_dict_of({"net": {"a": 1}, "epoch": 3}) == {"a": 1}
    assert state_dict_of({"a": 1}) == {"a": 1}
    assert state_dict_of({"net": 3}) == {"net": 3}
    assert state_dict_of([1]) == [1]


def test_a_missing_extra_is_one_command(monkeypatch):
    with pytest.raises(
        MissingExtraError, match=r"needs surely_absent, .*; pip install 'isozoo\[convert\]'$"
    ):
        import_extra("surely_absent")
    assert import_extra("zipfile") is zipfile


def test_an_extra_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import surely_absent")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="surely_absent"):
        import_extra("half_there")


def test_a_checkpoint_is_checked_before_torch_is_imported(tmp_path, monkeypatch):
    def refuse(name):
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(importlib, "import_module", refuse)
    (tmp_path / "best.pt").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="is a web page"):
        read_checkpoint(tmp_path / "best.pt")
