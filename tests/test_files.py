"""Files and folders are written whole or not at all."""

import hashlib
import os
import stat

import pytest

from isozoo.files import FileRecord, atomic_directory, atomic_write, sha256_file


@pytest.fixture
def umask():
    """Set the umask to a usual value, whatever the machine's is."""
    old = os.umask(0o022)
    yield
    os.umask(old)


def fail(*arguments):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"x" * 3_000_000])
def test_the_digest_and_the_size_are_those_of_the_bytes(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert sha256_file(path) == hashlib.sha256(content).hexdigest()
    assert FileRecord.of(path) == FileRecord(len(content), hashlib.sha256(content).hexdigest())


def test_text_is_written_as_utf_8_and_bytes_as_they_are(tmp_path):
    atomic_write(tmp_path / "text", "Isométrie\n")
    atomic_write(str(tmp_path / "bytes"), b"\r\n")
    assert (tmp_path / "text").read_bytes() == b"Isom\xc3\xa9trie\n"
    assert (tmp_path / "bytes").read_bytes() == b"\r\n"


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    for content in ("old", "new"):
        atomic_write(tmp_path / "file", content)
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    atomic_write(tmp_path / "file", "old")
    monkeypatch.setattr(f"isozoo.files.os.{step}", fail)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_needs_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        atomic_write(tmp_path / "missing" / "file", "x")


@pytest.mark.usefixtures("umask")
def test_files_and_folders_have_the_usual_permissions(tmp_path):
    atomic_write(tmp_path / "file", "x")
    with atomic_directory(tmp_path / "folder"):
        pass
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


def test_a_folder_appears_with_all_its_files_and_its_parents(tmp_path):
    target = tmp_path / "a" / "b"
    with atomic_directory(target) as folder:
        (folder / "file").write_text("x")
        assert not target.exists()
    assert (target / "file").read_text() == "x"
    assert os.listdir(tmp_path / "a") == ["b"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("old", "new"):
        with atomic_directory(tmp_path / "folder") as folder:
            (folder / name).write_text(name)
    assert os.listdir(tmp_path / "folder") == ["new"]
    assert os.listdir(tmp_path) == ["folder"]


def test_an_interrupted_block_leaves_the_old_folder_and_no_other(tmp_path):
    with atomic_directory(tmp_path / "folder") as folder:
        (folder / "file").write_text("old")

    def interrupted():
        with atomic_directory(tmp_path / "folder") as folder:
            (folder / "file").write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "folder" / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Replace an old folder by a new one while the numbered calls of `os.replace` fail."""

    def run(failures, moved=False):
        with atomic_directory(tmp_path / "folder") as folder:
            (folder / "file").write_text("old")
        replace, calls = os.replace, []

        def replace_or_fail(source, target):
            calls.append(source)
            error = failures.get(len(calls))
            if error is None or moved:
                replace(source, target)
            if error is not None:
                raise error

        monkeypatch.setattr("isozoo.files.os.replace", replace_or_fail)
        with atomic_directory(tmp_path / "folder") as folder:
            (folder / "file").write_text("new")

    return run


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt("No space left")])
def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path, write, call, error
):
    with pytest.raises(type(error), match="No space left"):
        write({call: error})
    assert (tmp_path / "folder" / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize(("call", "content"), [(1, "old"), (2, "new")])
def test_an_interrupt_just_after_a_folder_was_moved_leaves_one_whole_folder(
    tmp_path, write, call, content
):
    with pytest.raises(KeyboardInterrupt):
        write({call: KeyboardInterrupt()}, moved=True)
    assert (tmp_path / "folder" / "file").read_text() == content
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_an_old_folder_that_cannot_come_back_is_kept_and_named(tmp_path, write, error):
    with pytest.raises(OSError, match=r"nor put back what was there .*No space left") as raised:
        write({2: error, 3: FULL})
    (old,) = tmp_path.iterdir()
    assert (old / "file").read_text() == "old"
    assert f"it is in {old}, rename that to folder" in str(raised.value)


def test_a_folder_does_not_replace_a_file(tmp_path):
    (tmp_path / "name").write_text("x")
    with (
        pytest.raises(NotADirectoryError, match="name: a file of that name exists"),
        atomic_directory(tmp_path / "name"),
    ):
        pytest.fail("the block must not run")
    assert (tmp_path / "name").read_text() == "x"
