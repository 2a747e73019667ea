import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from isozoo.data import ImageFolder
from isozoo.errors import DataError, ImageError

PETS = ["dog/b.png", "dog/a.png", "cat/deep/x.png", "cat/c.png", "cat/._c.png", "cat/notes.txt"]


def both(tree, pack, names):
    """The same pictures as a folder and as a tar file."""
    root = tree(names)
    return [root, pack(root)]


def add(path, name, content=b"", **attributes):
    """Append one member of any sort to a tar file."""
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for key, value in attributes.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(content))


def test_classes_and_samples_are_sorted_and_equal_in_a_tar(tree, pack):
    for source in both(tree, pack, PETS):
        pets = ImageFolder(source)
        assert pets.classes == ("cat", "dog")
        assert pets.samples == ("cat/c.png", "cat/deep/x.png", "dog/a.png", "dog/b.png")
        assert pets.labels.tolist() == [0, 0, 1, 1]
        assert pets.labels.dtype == np.int32
        assert len(pets) == 4
        assert [pets.image(i)[0, 0, 0] for i in range(4)] == [3, 2, 1, 0]


def test_a_class_whose_name_begins_with_anothers_sorts_by_class(tree):
    pets = ImageFolder(tree(["cat-big/a.png", "cat/z.png"]))
    assert pets.classes == ("cat", "cat-big")
    assert pets.samples == ("cat/z.png", "cat-big/a.png")
    assert pets.labels.tolist() == [0, 1]


def test_read_returns_the_files_bytes(tree, pack):
    folder, archive = (ImageFolder(source) for source in both(tree, pack, PETS))
    contents = [folder.read(index) for index in range(4)]
    assert contents == [archive.read(index) for index in range(4)]
    assert len(set(contents)) == 4
    assert all(content.startswith(b"\x89PNG") for content in contents)


@pytest.mark.parametrize("above", ["", "set/"])
def test_a_split_is_found_at_the_top_or_one_folder_deeper(tree, pack, above):
    names = [f"{above}{split}/{kind}/1.png" for split in ("train", "val") for kind in "ab"]
    for source in both(tree, pack, names):
        val = ImageFolder.open(source, split="val")
        assert val.samples == ("a/1.png", "b/1.png")
        assert [val.image(i)[0, 0, 0] for i in (0, 1)] == [2, 3]


def test_a_tar_without_entries_for_its_folders_is_read(tree, tmp_path):
    root = tree(["set/train/a/1.png"])
    path = tmp_path / "bare.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(root / "set/train/a/1.png", "./set/train/a/1.png")
    assert ImageFolder.open(path, "train").samples == ("a/1.png",)


def test_a_class_called_like_the_split_is_no_split(tree):
    data = ImageFolder.open(tree(["train/train/1.png", "train/bus/1.png"]), "train")
    assert data.classes == ("bus", "train")


def test_repr_says_where_and_how_many(tree):
    data = ImageFolder.open(tree(["train/a/1.png"]), "train")
    assert repr(data).endswith("pictures/train: 1 images of 1 classes>")


def test_a_missing_path(tmp_path):
    with pytest.raises(DataError, match=r"no image folder at .*gone: there is no such folder"):
        ImageFolder(tmp_path / "gone")


def test_a_missing_split_lists_those_there_are(tree, pack):
    for source in both(tree, pack, ["set/train/a/1.png", "set/val/a/1.png"]):
        with pytest.raises(DataError, match=r"no split 'test' .*found: 'set/train', 'set/val'"):
            ImageFolder.open(source, "test")


def test_a_missing_split_where_there_are_only_classes(tree):
    with pytest.raises(DataError, match=r"found: none .* use ImageFolder\(path\)"):
        ImageFolder.open(tree(["a/1.png", "b/1.png"]), "train")


def test_two_splits_of_one_name(tree):
    with pytest.raises(DataError, match=r"more than one split 'train' .* one/train, two/train"):
        ImageFolder.open(tree(["one/train/a/1.png", "two/train/a/1.png"]), "train")


def test_no_images(tree, pack):
    for source in both(tree, pack, ["a/notes.txt", "top.png"]):
        with pytest.raises(DataError, match=r"no images in class folders at .*expected class/pic"):
            ImageFolder(source)


def test_a_class_without_images_is_named(tree, pack):
    for source in both(tree, pack, ["train/a/1.png", "train/b/notes.txt", "train/c/.x.png"]):
        with pytest.raises(DataError, match=r"class folders without images at .*train: b, c; fill"):
            ImageFolder.open(source, "train")


@pytest.mark.parametrize("split", [None, "train"])
def test_a_damaged_picture_is_named(tree, pack, split):
    root = tree(["train/a/1.png", "train/a/2.png"])
    (root / "train/a/2.png").write_bytes(b"damaged")
    for source in (root, pack(root)):
        data = ImageFolder.open(source, split) if split else ImageFolder(source)
        data.image(0)
        with pytest.raises(ImageError, match=rf"'.*{source.name}/train/a/2\.png' as an image"):
            data.image(1)


def test_a_picture_that_went_away_is_named(tree):
    root = tree(["a/1.png"])
    data = ImageFolder(root)
    (root / "a/1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png"):
        data.image(0)


def test_a_compressed_tar_is_refused(tree, pack):
    path = pack(tree(["a/1.png"]), mode="w:gz")
    with pytest.raises(DataError, match=r"as an uncompressed tar file: .* decompress it first"):
        ImageFolder(path)


def test_a_file_that_is_no_tar_is_refused(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("L", (30, 30)).save(path)
    with pytest.raises(DataError, match=r"cannot list .* as an uncompressed tar file"):
        ImageFolder(path)


def test_a_tar_cut_short_is_refused(tree, pack):
    path = pack(tree(["a/1.png", "a/2.png"]))
    path.write_bytes(path.read_bytes()[:1600])
    with pytest.raises(DataError, match=r"cannot list .* unexpected end of data"):
        ImageFolder(path)


def test_a_tar_with_a_damaged_header_is_refused(tree, pack):
    path = pack(tree(["a/1.png", "a/2.png"]))
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        second = archive.getmembers()[1]
    content[second.offset + 100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"is damaged at byte {second.offset}: neither a file"):
        ImageFolder(path)


@pytest.mark.parametrize("name", ["../a/x.png", "a/../../x.png", "/etc/a/x.png"])
def test_a_tar_that_points_outside_is_refused(tree, pack, name):
    path = pack(tree(["a/1.png"]))
    add(path, name)
    with pytest.raises(DataError, match=r"names a file outside of itself: '.*x\.png'"):
        ImageFolder(path)


def test_a_tar_with_one_name_twice_is_refused(tree, pack):
    path = pack(tree(["a/1.png"]))
    add(path, "./a/1.png", b"other")
    with pytest.raises(DataError, match=r"holds two files named 'a/1\.png'"):
        ImageFolder(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_tar_with_a_link_for_a_picture_is_refused(tree, pack, kind):
    path = pack(tree(["a/1.png"]))
    add(path, "a/2.png", type=kind, linkname="a/1.png")
    with pytest.raises(DataError, match=r"'a/2\.png' in .* is a link .* --dereference"):
        ImageFolder(path)


def test_a_tar_may_hold_links_that_are_no_pictures(tree, pack):
    path = pack(tree(["a/1.png"]))
    add(path, "a/latest", type=tarfile.SYMTYPE, linkname="1.png")
    assert ImageFolder(path).samples == ("a/1.png",)


def test_imagenette(imagenette):
    assert len(imagenette) == 3925
    assert len(imagenette.classes) == 10
    assert imagenette.classes[0] == "n01440764"
    assert imagenette.samples[0] == "n01440764/ILSVRC2012_val_00009111.JPEG"
    assert np.bincount(imagenette.labels).min() > 300
