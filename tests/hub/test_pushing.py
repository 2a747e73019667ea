"""Pushing: what arrives is what was sent, and is what is loaded elsewhere."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import isozoo
from isozoo import hub
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.models.folder import write_folder
from isozoo.models.manifest import MANIFEST, OPTIONAL, REQUIRED, read_manifest
from tests.hub.conftest import NAME, REPOSITORY, bless, contents
from tests.hub.mishaps import edit, flipped, not_a_number
from tests.hub.stand_in import Fault
from tests.zoo.conftest import small_network

# Of httpx, about huggingface_hub's way of calling it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

IMAGES = np.linspace(-1, 1, 2 * 32 * 32 * 3, dtype="float32").reshape(2, 32, 32, 3)

LOAD = """
import sys
import numpy as np
import isozoo
model = isozoo.Classifier.from_pretrained("me/my-net", token="hf_mine")
np.save(sys.argv[2], model(np.load(sys.argv[1])).numpy())
"""


# Models


def test_a_pushed_model_gives_the_same_logits_in_a_fresh_process(world, tmp_path):
    model = small_network()
    commit = model.push_to_hub("me/my-net", token="hf_mine")
    assert world.server.branches["me/my-net"] == {"main": commit.oid}
    assert commit.commit_url == f"{world.server.url}/me/my-net/commit/{commit.oid}"
    assert "Bearer hf_mine" in world.server.tokens
    np.save(tmp_path / "images.npy", IMAGES)
    subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path / "images.npy", tmp_path / "logits.npy"],
        env=world.environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        timeout=300,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), model(IMAGES))


def test_a_repository_is_loaded_and_said_to_be_unpinned(world, published, caplog):
    commit = world.server.add("me/my-net", published)
    model = isozoo.Classifier.from_pretrained("me/my-net")
    np.testing.assert_array_equal(model(IMAGES), small_network()(IMAGES))
    assert not model.load_report.pinned
    assert model.load_report.source.endswith(commit)
    assert (
        f"me/my-net at {commit} is not pinned by isozoo's catalog: nothing but its own {MANIFEST} "
        f"vouches for it; give revision='{commit}' to stay there" in caplog.text
    )
    caplog.clear()
    isozoo.load("me/my-net", revision=commit)
    assert "vouches for it" in caplog.text
    assert "revision=" not in caplog.text
    # The card is not needed, nor fetched.
    fetched = {path.rsplit("/", 1)[1] for _, path in world.asked()}
    assert fetched == {MANIFEST, *REQUIRED}
    world.server.stop()
    for options in ({}, {"revision": commit}, {"local_files_only": True}):
        again = isozoo.load("me/my-net", **options)
        np.testing.assert_array_equal(again(IMAGES), model(IMAGES))


def test_a_new_push_is_a_new_commit_and_the_old_one_stays(world, published):
    first = hub.push(published, "me/my-net")
    changed = isozoo.load(published)
    changed.head.layers[-1].bias.assign([1.0, 2.0, 3.0])
    second = changed.push_to_hub("me/my-net")
    for revision, expected in ((None, [1, 2, 3]), (second.oid, [1, 2, 3])):
        model = isozoo.load("me/my-net", revision=revision)
        np.testing.assert_array_equal(model.head.layers[-1].bias, expected)
    old = isozoo.load("me/my-net", revision=first.oid)
    np.testing.assert_array_equal(old(IMAGES), isozoo.load(published)(IMAGES))


HISTORY = {"recipe": "epochs = 1\r\n", "log": [{"epoch": 1, "loss": 2.0}]}


@pytest.fixture
def trained(published, tmp_path):
    """A weights folder with its whole history."""
    folder = tmp_path / "trained" / NAME
    write_folder(isozoo.load(published), folder, **HISTORY)
    return folder


def test_a_history_does_not_outlive_its_weights(world, published, trained):
    files = contents(trained) | {"NOTES.md": b"mine"}
    world.server.add("me/my-net", files)
    assert set(OPTIONAL) < set(files)
    changed = isozoo.load(published, classes=2)
    commit = changed.push_to_hub("me/my-net")
    found = world.server.commits["me/my-net", commit.oid]
    assert found.keys() == files.keys() - set(OPTIONAL)
    assert found["NOTES.md"] == b"mine"
    commit = isozoo.load(trained).push_to_hub("me/my-net")
    assert world.server.commits["me/my-net", commit.oid].keys() == files.keys()


def test_published_weights_take_the_place_of_others_with_their_history(world, published, trained):
    world.server.add(REPOSITORY, trained)
    weights = world.place / "weights"
    shutil.copytree(published, weights / NAME)
    world.publish_catalog(weights)
    pushed = isozoo.zoo.push(NAME, token="hf_mine")
    assert world.server.commits[REPOSITORY, pushed.commit] == contents(published)


def test_a_model_of_the_hub_is_saved_again_with_its_history(world, trained, tmp_path):
    world.publish(trained)
    for source, options in ((NAME, {}), (REPOSITORY, {"revision": world.commit})):
        isozoo.load(source, **options).save_pretrained(tmp_path / "again")
        assert read_manifest(tmp_path / "again").metrics == {"top1": 0.5}
        for name in ("recipe.toml", "log.jsonl"):
            assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes()
    # The card and the curve are made, not fetched.
    fetched = {path.rsplit("/", 1)[1] for _, path in world.asked()}
    assert fetched == {MANIFEST, *REQUIRED, "recipe.toml", "log.jsonl"}


def test_a_branch_is_made_where_it_is_pushed_to(world, published):
    commit = hub.push(published, "me/my-net", revision="v2", commit_message="Second try")
    assert world.server.branches["me/my-net"]["v2"] == commit.oid
    assert isozoo.Classifier.from_pretrained("me/my-net", revision="v2").labels
    with pytest.raises(WeightsError, match=r"answered 404.*Nor is there a folder 'me/my-net' here"):
        isozoo.Classifier.from_pretrained("me/my-net", revision="v3")


def test_what_arrives_changed_is_reported(world, published):
    world.server.fault = Fault(body=flipped)
    with pytest.raises(WeightsError, match=r"does not have what was pushed: README.md, .* differ"):
        hub.push(published, "me/my-net")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "'no': change what it objects to"),
        (401, "hf auth login"),
        (402, "'no': change"),
        (403, "a token that has the right"),
        (413, "'no': change"),
        (422, "'no': change"),
        (500, "in trouble"),
    ],
)
def test_a_push_that_fails_says_why(world, published, status, advice, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    world.server.fault = Fault(status=status)
    with pytest.raises(WeightsError, match=f"cannot push to me/my-net: .* {status}, .*{advice}"):
        hub.push(published, "me/my-net")


def test_a_push_into_a_captive_portal_says_so(world, published):
    world.server.fault = Fault(portal=True)
    with pytest.raises(WeightsError, match=r"answers, but not as the Hub does; look whether this"):
        hub.push(published, "me/my-net")


def test_a_model_is_pushed_to_an_owner(world):
    """Its card says how to load it from there."""
    for name in ("my-net", "a/b/c"):
        with pytest.raises(WeightsError, match=f"cannot push to '{name}', .*; give owner/name"):
            small_network().push_to_hub(name)
    assert world.server.requests == []


def test_only_the_named_files_are_pushed(world, tmp_path):
    names = ["a.json", "[b]*.json", ".env", "notes.json"]
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.json").write_text("{}")
    commit = hub.push(tmp_path, "me/some", names=["a.json", "[b]*.json", "absent"])
    assert world.server.commits["me/some", commit.oid].keys() == {"a.json", "[b]*.json"}
    commit = hub.push(tmp_path, "me/all")
    assert world.server.commits["me/all", commit.oid].keys() == set(names)


def test_a_push_that_is_cut_off_says_so(world, published, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    world.server.fault = Fault(cut=1000)
    with pytest.raises(WeightsError, match=r"cannot push to me/my-net: .* cannot be reached \(Rem"):
        hub.push(published, "me/my-net")


def test_nothing_is_pushed_offline(world, published):
    world.forbid_network()
    with pytest.raises(WeightsError, match="cannot push to me/my-net: HF_HUB_OFFLINE"):
        hub.push(published, "me/my-net")
    assert world.server.requests == []


def test_a_broken_model_is_not_pushed(world):
    model = small_network()
    model.head.layers[-1].bias.assign([np.nan, 0.0, 0.0])
    with pytest.raises(WeightsError, match="NaN or infinite"):
        model.push_to_hub("me/my-net")
    assert world.server.requests == []


# Repositories that are not what they say


def test_a_stranger_s_manifest_is_bounded(world, published):
    files = contents(published) | {MANIFEST: b" " * (4 * 2**20 + 1)}
    world.server.add("me/my-net", files)
    with pytest.raises(WeightsError, match="has 4194305 bytes, and may have 4194304"):
        isozoo.load("me/my-net")
    assert not any(verb == "GET" for verb, _ in world.asked())


def test_a_stranger_s_damaged_folder_is_refused(world, published, tmp_path):
    files = contents(published)
    task = files["task.weights.h5"]
    for change, message in (
        ({"task.weights.h5": flipped(task)}, "is not the file it must be"),
        ({"config.json": files["config.json"] + b" "}, "is not the file it must be"),
        ({MANIFEST: b"{"}, "isozoo.json is not JSON"),
        (
            {MANIFEST: files[MANIFEST].replace(b'"golden.npz"', b'"../golden"')},
            "lacks golden|plain",
        ),
    ):
        world.server.add("me/my-net", files | change)
        with pytest.raises(WeightsError, match=message):
            isozoo.load("me/my-net")
    folder = shutil.copytree(published, tmp_path / "nan")
    edit("task.weights.h5", not_a_number)(folder)
    bless(folder)
    world.server.add("me/my-net", folder)
    with pytest.raises(WeightsError, match="NaN or infinite"):
        isozoo.load("me/my-net")


def test_a_repository_without_a_manifest_is_no_weights_folder(world):
    world.server.add("me/bert", {"config.json": b"{}"})
    with pytest.raises(WeightsError, match=r"fetch isozoo.json of me/bert at main: .*answered 404"):
        isozoo.Classifier.from_pretrained("me/bert")


# Folders before repositories


def test_a_folder_goes_before_a_repository_of_its_name(world, published, tmp_path, monkeypatch):
    shutil.copytree(published, tmp_path / "me" / "my-net")
    monkeypatch.chdir(tmp_path)
    for load in (isozoo.load, isozoo.Classifier.from_pretrained):
        assert load("me/my-net").load_report.source == os.path.join("me", "my-net")
        with pytest.raises(WeightsError, match="is a folder here, which has no revision 'v2'"):
            load("me/my-net", revision="v2")
    assert world.server.requests == []


@pytest.mark.parametrize(
    "source",
    ["r-isonet-50", "a/b/c", "/nowhere/at-all", "../me/net", "~nobody/net", "/" + 300 * "a", "a\0"],
)
def test_what_is_neither_is_refused_without_a_request(world, source):
    with pytest.raises(WeightsError, match=r"no weights folder at .* a Hub repository owner"):
        isozoo.Classifier.from_pretrained(source)
    if source != "r-isonet-50":
        with pytest.raises((WeightsError, UnknownNameError), match=r"no weights fold|unknown mod"):
            isozoo.load(source)
    assert world.server.requests == []
