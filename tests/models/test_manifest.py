"""`isozoo.json`: what is read from it, and what is refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.data.preprocessing import IMAGENET
from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.models import architecture
from isozoo.models.folder import load_folder
from isozoo.models.manifest import (
    ENCODER,
    FORMAT,
    GOLDEN,
    MANIFEST,
    REQUIRED,
    Manifest,
    read_manifest,
)
from tests.models.conftest import rewrite

# Manifests


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("<html></html>", "is not JSON"),
        ("[]", "must hold a JSON object, found list"),
        ('{"format": 0}', "has format 0, this isozoo reads 1; fetch the folder again"),
        ("{}", "lacks format, name, tag, architecture"),
        ('{"format": 99}', "has format 99, this isozoo reads 1; upgrade with `pip install"),
    ],
)
def test_a_malformed_manifest_is_refused(folder, text, message):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


def test_a_manifest_that_is_not_text_is_refused(folder):
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match=r"isozoo.json is not text"):
        load_folder(folder)


KEYS = [
    "format",
    "name",
    "tag",
    "architecture",
    "labels",
    "preprocessing",
    "input_shape",
    "dtype",
    "parameters",
    "metrics",
    "licence",
    "source",
    "storage",
    "version",
    "fingerprint",
    "files",
    "variables",
]


LATER = ("source", "storage")


@pytest.mark.parametrize("key", LATER)
def test_a_manifest_from_before_a_key_was_known_says_nothing_of_it(folder, key):
    rewrite(folder, lambda data: data.pop(key))
    assert getattr(read_manifest(folder), key) is None


@pytest.mark.parametrize("key", sorted({*KEYS} - {*LATER}))
def test_a_manifest_without_one_of_its_keys_is_refused(folder, key):
    assert sorted(KEYS) == sorted(json.loads((folder / MANIFEST).read_text()))
    rewrite(folder, lambda data: data.pop(key))
    with pytest.raises(WeightsError, match=f"isozoo.json lacks {key}; fetch the folder again"):
        load_folder(folder)


@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_with_a_value_of_the_wrong_type_is_refused(folder, key):
    rewrite(folder, lambda data: data.update({key: True}))
    with pytest.raises(WeightsError, match=f"'{key}' must be .*, found bool"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["architecture"].update(depth=14), "gives the name 'r-isonet-14', found 'r-is"),
        (lambda d: d["labels"].pop(), "gives the number of labels 3, found 2"),
        (lambda d: d["input_shape"].pop(), "gives the number of sides in input_shape 3, found 2"),
        (lambda d: d.update(input_shape=[None, None, 1]), r"channels \(3,\), found \(1,\)"),
        (
            lambda d: d["preprocessing"].update(mean=[0.5], std=[0.2]),
            "gives the number of prepared channels 3, found 1",
        ),
        (lambda d: d["architecture"].pop("stem"), "cannot read .*incomplete architecture"),
        (lambda d: d["architecture"].update(code="x"), "cannot read .*unknown architecture fields"),
        (lambda d: d["architecture"].update(block="rm"), "cannot read .*unknown block 'rm'"),
        (lambda d: d["preprocessing"].pop("size"), "cannot read .*missing"),
        (lambda d: d.update(labels=["cat", "dog", 3]), "cannot read .labels must be texts, got 3"),
        (lambda d: d.update(labels=["cat", "dog", "cat"]), "labels must be distinct, got 'cat'"),
        (lambda d: d["metrics"].update(top1="high"), "cannot read .unexpected 'high'.; fetch"),
        (lambda d: d["variables"].update(x=1), "holds a value that isozoo cannot read"),
        (lambda d: d["files"].update({ENCODER: 5}), "holds a value that isozoo cannot read"),
        (lambda d: d["files"].pop(ENCODER), f"'files' lacks {ENCODER}"),
        (lambda d: d["files"].pop(GOLDEN), f"'files' lacks {GOLDEN}"),
        (
            lambda d: d["variables"].pop("head_fc/bias"),
            r"1 variables differ, first head_fc/bias \(",
        ),
        (lambda d: d["variables"].update({"x/y": [3]}), "1 variables differ, first x/y"),
        (lambda d: d.update(dtype="float31"), "dtype policy 'float31', which Keras .* not know"),
        (lambda d: d.update(fingerprint="0" * 64), "expected fingerprint 0000.*, found "),
    ],
)
def test_a_manifest_that_contradicts_itself_or_the_network_is_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", "..\\secret", "C:evil", "..", ".", "", "a\0b", MANIFEST],
)
def test_a_manifest_may_only_speak_of_its_own_folder(folder, name):
    (folder.parent / "secret").write_text("secret")
    record = FileRecord.of(folder.parent / "secret")
    rewrite(folder, lambda d: d["files"].update({name: vars(record)}))
    with pytest.raises(WeightsError, match="is not the plain name of another file"):
        load_folder(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def described() -> dict:
    """Return the content of a sound manifest, whose every part is small."""
    model = architecture("isonet-8", classes=2)
    manifest = Manifest(
        name=model.name,
        tag="t",
        architecture=model,
        labels=("a", "b"),
        preprocessing=IMAGENET,
        input_shape=(None, None, 3),
        dtype="float32",
        parameters=1,
        variables={"a/b": (2, 3)},
        fingerprint="f",
        files={name: FileRecord(1, "f") for name in REQUIRED},
        metrics={"top1": 0.5},
        licence="MIT",
        source="somebody",
    )
    return json.loads(manifest.to_json())


@given(st.data())
@settings(deadline=None)
def test_whatever_is_in_a_manifest_is_read_or_refused(data):
    content = described()
    place = content
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(JSON)
    try:
        manifest = Manifest.from_json(json.dumps(content))
    except WeightsError:
        return
    assert Manifest.from_json(json.dumps(content)) == manifest


def test_labels_that_look_like_lists_are_not_touched():
    content = described()
    content["labels"] = ["[ 1,  2 ]", "[\n 1 ]"]
    manifest = Manifest.from_json(json.dumps(content))
    assert Manifest.from_json(manifest.to_json()).labels == ("[ 1,  2 ]", "[\n 1 ]")


def test_a_newer_format_is_named_before_anything_else(folder):
    rewrite(folder, lambda data: (data.clear(), data.update(format=FORMAT + 1)))
    with pytest.raises(WeightsError, match=f"has format {FORMAT + 1}, this isozoo reads"):
        read_manifest(folder)


def test_a_full_name_needs_a_tag(folder):
    manifest = read_manifest(folder)
    assert replace(manifest, tag=None).full_name == "r-isonet-8"
