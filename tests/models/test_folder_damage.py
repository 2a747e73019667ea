"""A weights folder that is damaged, or another network's, is refused."""

import h5py
import numpy as np
import pytest

from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.models import architecture
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.manifest import CARD, ENCODER, HEAD, MANIFEST, OPTIONAL, RECIPE, REQUIRED
from isozoo.models.variables import named_values
from tests.models.conftest import assert_same, bless, network, rewrite

# Damaged files


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=f"lacks {name}, .* bytes; fetch the folder again"):
        load_folder(folder)


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
def test_a_flipped_bit_is_found(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(
        WeightsError, match=f"{name} is corrupt or changed: expected sha256 [0-9a-f]"
    ):
        load_folder(folder)


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
@pytest.mark.parametrize("size", [0, 10])
def test_a_truncated_file_is_found(folder, name, size):
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    with pytest.raises(WeightsError, match=f"{name} is truncated .* bytes, found {size};"):
        load_folder(folder)


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_about_the_training_may_be_missing(folder, model, name):
    (folder / name).unlink()
    assert_same(named_values(load_folder(folder)), named_values(model))


def test_the_card_may_be_edited_or_missing(folder, model):
    (folder / CARD).write_text("my own words")
    assert_same(named_values(load_folder(folder)), named_values(model))
    (folder / CARD).unlink()
    assert_same(named_values(load_folder(folder)), named_values(model))


def test_a_file_that_nobody_knows_is_as_listed_or_missing(folder):
    (folder / "notes.txt").write_text("more")
    bless(folder, "notes.txt")
    load_folder(folder)
    (folder / "notes.txt").write_text("less")
    with pytest.raises(WeightsError, match=r"notes.txt is corrupt or changed"):
        load_folder(folder)
    (folder / "notes.txt").unlink()
    load_folder(folder)


@pytest.mark.parametrize("name", [ENCODER, RECIPE])
def test_a_directory_is_not_a_file(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(WeightsError, match=f"lacks {name}, which its record lists with"):
        load_folder(folder)


def test_no_folder_and_no_manifest_are_told_apart(folder, tmp_path):
    with pytest.raises(WeightsError, match=r"no weights folder at .*nowhere; check the path"):
        load_folder(tmp_path / "nowhere")
    (folder / MANIFEST).unlink()
    with pytest.raises(WeightsError, match=r"has no isozoo.json \(found README.md, config.json"):
        load_folder(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"has no isozoo.json \(found nothing\)"):
        load_folder(tmp_path / "empty")


def test_pinned_files_are_checked_before_the_manifest_is_believed(folder):
    pins = {path.name: FileRecord.of(path) for path in folder.iterdir()}
    assert load_folder(folder, pins=pins).labels == ("cat", "dog", "owl")
    rewrite(folder, lambda data: data.update(labels=["owl", "dog", "cat"]))
    with pytest.raises(WeightsError, match=r"isozoo.json is truncated or changed"):
        load_folder(folder, pins=pins)


@pytest.mark.parametrize("pinned", [(), (MANIFEST,)])
def test_what_is_not_pinned_is_checked_by_the_manifest(folder, pinned):
    pins = {name: FileRecord.of(folder / name) for name in pinned}
    path = folder / HEAD
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match=f"{HEAD} is corrupt or changed: expected sha256"):
        load_folder(folder, pins=pins)


# Weight files that hash as the manifest says, and still are not the weights


@pytest.mark.parametrize("name", [ENCODER, HEAD])
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", b"\x89HDF\r\n\x1a\n"],
    ids=["empty", "HTML", "header only"],
)
def test_what_is_not_a_weight_file_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    bless(folder, name)
    with pytest.raises(WeightsError, match=f"{name} does not hold the weights of this"):
        load_folder(folder)


@pytest.mark.parametrize("size", [0.5, 0.99])
def test_a_truncated_weight_file_is_refused_even_when_listed(folder, size):
    data = (folder / ENCODER).read_bytes()
    (folder / ENCODER).write_bytes(data[: int(len(data) * size)])
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match="does not hold the weights of this backbone"):
        load_folder(folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "dataset", "variable"),
    [
        (ENCODER, "layers/conv2d/vars/0", "stem_conv/kernel"),
        (HEAD, "layers/dense/vars/1", "head_fc/bias"),
    ],
)
def test_stored_values_that_are_not_finite_are_refused(folder, bad, name, dataset, variable):
    with h5py.File(folder / name, "r+") as stored:
        stored[dataset][0] = bad
    bless(folder, name)
    with pytest.raises(WeightsError, match=f"variable {variable} has .* NaN or infinite"):
        load_folder(folder)


def test_an_edited_value_is_found(folder):
    with h5py.File(folder / HEAD, "r+") as stored:
        stored["layers/dense/vars/1"][0] += 1e-3
    bless(folder, HEAD)
    with pytest.raises(WeightsError, match=r"are not those of r-isonet-8.cats: expected fingerpri"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("layers/extra/vars/0", "holds 20 arrays, the backbone has 19"),
        ("extra", "holds 20 arrays, the backbone has 19"),
        ("layers/conv2d/vars/7", "does not hold the weights of this backbone"),
    ],
)
def test_an_array_too_many_is_found(folder, path, message):
    with h5py.File(folder / ENCODER, "r+") as stored:
        stored[path] = np.zeros(3, "float32")
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


def test_an_array_too_few_is_found(folder):
    with h5py.File(folder / ENCODER, "r+") as stored:
        del stored["layers/s_re_lu/vars/0"]
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match="does not hold the weights of this backbone"):
        load_folder(folder)


# Another network's weights


def test_weights_of_another_shape_are_refused(folder, tmp_path):
    write_folder(network("r-isonet-8-w32"), tmp_path / "wide")
    (folder / ENCODER).write_bytes((tmp_path / "wide" / ENCODER).read_bytes())
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match="does not hold the weights of this backbone"):
        load_folder(folder)


def test_weights_of_a_deeper_network_are_refused(folder, tmp_path):
    write_folder(network("r-isonet-14"), tmp_path / "deep")
    (folder / ENCODER).write_bytes((tmp_path / "deep" / ENCODER).read_bytes())
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match=r"does not hold the weights|holds .* arrays"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("mine", "other"),
    [("resnet-gn-8", "resnet-in-8"), ("resnet-ln-8", "resnet-gn-8")],
)
def test_weights_of_a_network_with_the_same_shapes_are_refused(mine, other, tmp_path):
    """Only the fingerprint tells these apart: names, shapes and number of variables are equal."""
    first, second = network(mine), network(other)
    second.head.get_layer("head_fc").bias.assign([1.0, 2.0, 3.0])
    write_folder(first, tmp_path / "mine", tag="t")
    write_folder(second, tmp_path / "other", tag="t")
    for name in (ENCODER, HEAD):
        (tmp_path / "mine" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    bless(tmp_path / "mine", ENCODER, HEAD)
    with pytest.raises(WeightsError, match=f"are not those of {mine}.t: .* another network's"):
        load_folder(tmp_path / "mine")


def test_equal_values_under_another_architecture_are_refused(tmp_path):
    """A manifest edited to name another architecture no longer fits its own weights."""
    write_folder(network("resnet-gn-8"), tmp_path / "out")
    instance = architecture("resnet-in-8", classes=3)
    rewrite(
        tmp_path / "out",
        lambda data: data.update(name=instance.name, architecture=instance.to_dict()),
    )
    with pytest.raises(WeightsError, match="are not those of resnet-in-8: expected fingerprint"):
        load_folder(tmp_path / "out")
