"""Fetching files: what is asked of the server, what of the cache, and what the options mean."""

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import constants, get_session, hf_hub_download

from isozoo import hub
from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.hub.hashes import etag_of
from tests.hub.conftest import contents
from tests.hub.stand_in import Fault, git_hash

REPOSITORY = "me/files"
FILES = {"small.json": b'{"a": 1}\n', "large.h5": bytes(range(256)) * 40}


@pytest.fixture
def commit(world):
    return world.server.add(REPOSITORY, FILES)


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return {name: FileRecord.of(folder / name) for name in FILES}


# Pinned files


def test_files_are_fetched_into_the_hub_s_own_cache(world, commit, records):
    folder = hub.fetch(REPOSITORY, records, commit=commit)
    assert folder == world.cache / "models--me--files" / "snapshots" / commit
    assert contents(folder) == FILES
    # Asked for once by isozoo and once by huggingface_hub, and sent once.
    asked = [verb for verb, path in world.asked() if "/resolve/" in path]
    assert asked == ["HEAD", "HEAD"] * len(FILES)
    assert sum(verb == "GET" for verb, _ in world.asked()) == len(FILES)


def test_cached_files_cost_no_request(world, commit, records):
    folder = hub.fetch(REPOSITORY, records, commit=commit)
    world.server.requests.clear()
    assert hub.fetch(REPOSITORY, records, commit=commit) == folder
    assert hub.fetch(REPOSITORY, records, commit=commit, local_files_only=True) == folder
    world.forbid_network()
    assert hub.fetch(REPOSITORY, records, commit=commit) == folder
    assert world.server.requests == []


def test_the_cache_may_be_elsewhere(world, commit, records, tmp_path, monkeypatch):
    folder = hub.fetch(REPOSITORY, records, commit=commit, cache_dir=tmp_path / "other")
    assert folder == tmp_path / "other" / "models--me--files" / "snapshots" / commit
    assert not world.cache.exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    world.server.stop()
    assert hub.fetch(REPOSITORY, records, commit=commit, cache_dir="~/other").samefile(folder)


def test_the_token_is_sent_and_may_be_withheld(world, commit, records, monkeypatch, tmp_path):
    hub.fetch(REPOSITORY, records, commit=commit, token="hf_mine")
    assert set(world.server.tokens) == {"Bearer hf_mine"}
    monkeypatch.setenv("HF_TOKEN", "hf_saved")
    for number, (token, sent) in enumerate(((None, "Bearer hf_saved"), (False, None))):
        world.server.tokens.clear()
        hub.fetch(REPOSITORY, records, commit=commit, token=token, cache_dir=tmp_path / f"{number}")
        assert set(world.server.tokens) == {sent}


def test_the_token_is_not_sent_to_where_large_files_are(world, commit, records):
    hub.fetch(REPOSITORY, records, commit=commit, token="hf_mine")
    assert world.server.storage_tokens == [None]


def test_what_is_not_cached_is_not_fetched_if_only_local_files_are_wanted(world, commit, records):
    with pytest.raises(WeightsError, match=r"small.json of me/files at .*: HF_HUB_OFFLINE or"):
        hub.fetch(REPOSITORY, records, commit=commit, local_files_only=True)
    assert world.server.requests == []


@pytest.mark.parametrize(
    ("repository", "commit"),
    [("files", "0" * 40), ("../files", "0" * 40), ("me/files", "main"), ("me/files", "0" * 39)],
)
def test_what_is_no_pin_is_refused(world, records, repository, commit):
    with pytest.raises(WeightsError, match="is not a pinned repository; give owner/name"):
        hub.fetch(repository, records, commit=commit)
    assert world.server.requests == []


def test_the_server_is_asked_once_when_it_is_down(world, commit, records):
    world.server.fault = Fault(status=503)
    with pytest.raises(WeightsError, match="answered 503, the server is in trouble"):
        hub.fetch(REPOSITORY, records, commit=commit)
    assert len(world.asked()) == 1


def test_huggingface_hub_s_client_is_left_as_it_was(world, commit, records):
    hooks = get_session().event_hooks
    before = {kind: list(present) for kind, present in hooks.items()}
    hub.fetch(REPOSITORY, records, commit=commit)
    world.server.counts.clear()
    world.server.fault = Fault(head={"ETag": '"../evil"'}, from_head=2)
    with pytest.raises(WeightsError, match="changed its answer"):
        hub.fetch(REPOSITORY, records, commit=world.server.add(REPOSITORY, FILES))
    assert hooks == before


@pytest.mark.parametrize("repository", [REPOSITORY, "me/others"])
@pytest.mark.parametrize("foreign", [False, True], ids=["isozoo", "huggingface_hub"])
def test_other_threads_are_left_alone(world, commit, records, repository, foreign):
    """While one thread fetches, another may, and so may one that knows nothing of isozoo."""
    other = world.server.add(repository, FILES) if repository != REPOSITORY else commit
    hooks = get_session().event_hooks
    before = {kind: list(present) for kind, present in hooks.items()}
    world.server.fault = Fault(pause=1.0)
    with ThreadPoolExecutor() as pool:
        fetching = pool.submit(hub.fetch, REPOSITORY, records, commit=commit)
        while not world.incomplete():
            assert not fetching.done()
        world.server.fault = Fault()
        seen = hooks["response"]
        watched = list(seen)
        assert watched != before["response"]
        if foreign:
            for name, content in FILES.items():
                path = Path(hf_hub_download(repository, name, revision="main"))
                assert path.read_bytes() == content
        else:
            assert contents(hub.fetch(repository, records, commit=other)) == FILES
        # A client that goes through its hooks meanwhile misses none.
        assert seen == watched
        assert contents(fetching.result()) == FILES
    assert hooks == before


def test_the_environment_is_huggingface_hub_s(world, commit, records):
    """HF_ENDPOINT and HF_HOME lead to the files; with HF_HUB_OFFLINE the cache alone does."""
    program = (
        "import json, sys\nfrom isozoo import hub\nfrom isozoo.files import FileRecord\n"
        "repository, commit, files = json.loads(sys.argv[1])\n"
        "files = {name: FileRecord(*record) for name, record in files.items()}\n"
        "print(hub.fetch(repository, files, commit=commit))"
    )
    files = {name: (record.size, record.sha256) for name, record in records.items()}
    command = [sys.executable, "-c", program, json.dumps([REPOSITORY, commit, files])]
    for more in ({}, {"HF_HUB_OFFLINE": "1"}):
        environment = world.environment() | more
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        assert result.stdout.strip() == str(world.cache / "models--me--files/snapshots" / commit)
        assert result.stderr == ""
        assert sum(verb == "GET" for verb, _ in world.asked()) == len(FILES)


# Unpinned files


def unpinned(**options):
    return hub.fetch_unpinned(REPOSITORY, "small.json", limit=100, **options)


def test_a_branch_is_followed(world, commit):
    assert unpinned().parent.name == commit
    newer = world.server.add(REPOSITORY, {"small.json": b"[]"})
    path = unpinned()
    assert (path.parent.name, path.read_bytes()) == (newer, b"[]")
    assert unpinned(revision=commit).read_bytes() == FILES["small.json"]
    other = world.server.add(REPOSITORY, {"small.json": b"{}"}, branch="v2")
    assert unpinned(revision="v2").parent.name == other


def test_a_commit_that_is_cached_costs_no_request(world, commit):
    unpinned(revision=commit)
    world.server.requests.clear()
    assert unpinned(revision=commit).parent.name == commit
    assert world.server.requests == []


def test_the_latest_that_was_fetched_serves_while_the_hub_is_away(world, commit, caplog):
    with pytest.raises(WeightsError, match=r"fetch small.json of me/files at main: HF_HUB_O"):
        unpinned(local_files_only=True)
    unpinned()
    assert unpinned(local_files_only=True).parent.name == commit
    with caplog.at_level(logging.INFO, logger="isozoo"):
        for fault in (Fault(status=500), Fault(portal=True)):
            world.server.fault = fault
            assert unpinned().parent.name == commit
    assert "answered 500" in caplog.text
    assert "using what was fetched before" in caplog.text
    world.server.stop()
    assert unpinned().parent.name == commit


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_not_passed_over(world, commit, status):
    unpinned()
    world.server.fault = Fault(status=status)
    with pytest.raises(WeightsError, match=f"answered {status}"):
        unpinned()


def test_a_damaged_cached_file_is_not_used(world, commit):
    path = unpinned()
    path.resolve().write_bytes(b'{"a": 2}\n')
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE or local_files_only"):
        unpinned(local_files_only=True)
    assert unpinned().read_bytes() == FILES["small.json"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(body=lambda content: content.replace(b"1", b"2")), "came damaged: expected hash "),
        (Fault(head={"ETag": '"../../evil"'}), "'../../evil' cannot be the file's hash"),
        (Fault(head={"X-Repo-Commit": "../../evil"}), "'../../evil' cannot be the file's commit"),
        (Fault(head={"Content-Length": "101"}), "has 101 bytes, and may have 100; this is not a"),
        (Fault(head={"X-Repo-Commit": "0" * 40}, from_head=2), "changed its answer"),
        (Fault(head={"Content-Length": None}, body=lambda _: 101 * b" "), "came damaged"),
    ],
)
def test_a_wrong_answer_is_refused(world, commit, fault, message):
    world.server.fault = fault
    before = world.outside()
    with pytest.raises(WeightsError, match=message):
        unpinned()
    assert world.outside() == before
    world.server.fault = Fault()
    assert unpinned().read_bytes() == FILES["small.json"]


def test_an_answer_without_a_size_is_enough(world, commit, records):
    world.server.fault = Fault(head={"Content-Length": None})
    assert contents(hub.fetch(REPOSITORY, records, commit=commit)) == FILES
    assert unpinned().read_bytes() == FILES["small.json"]
    world.server.add(REPOSITORY, {"small.json": 101 * b" "})
    with pytest.raises(WeightsError, match="has more bytes, and may have 100; this is not a"):
        unpinned()
    assert unpinned(revision=commit).read_bytes() == FILES["small.json"]


@pytest.mark.parametrize("pinned", [True, False], ids=["commit", "branch"])
def test_what_another_program_fetched_is_bounded_too(world, commit, pinned):
    newest = world.server.add(REPOSITORY, {"small.json": 101 * b" "})
    hf_hub_download(REPOSITORY, "small.json", revision=newest if pinned else "main")
    with pytest.raises(WeightsError, match="has 101 bytes, and may have 100; this is not a repos"):
        unpinned(revision=newest if pinned else "main", local_files_only=True)
    assert unpinned(revision=commit).read_bytes() == FILES["small.json"]


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "/a",
        "..",
        "a/../../b",
        "v1..v2",
        "a\\b",
        "a\0b",
        "C:x",
        "a/",
        "a//b",
        ".",
        ".git",
        "a b",
    ],
)
def test_what_is_no_revision_is_refused_without_a_request(world, commit, revision):
    with pytest.raises(WeightsError, match="cannot be a revision of me/files; give the name of a"):
        unpinned(revision=revision)
    assert world.server.requests == []


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", "me/new-net", "ä", "a" * 39])
def test_names_of_branches_and_tags_are_revisions(world, revision):
    commit = world.server.add(REPOSITORY, FILES, branch=revision)
    assert unpinned(revision=revision).parent.name == commit


# Addresses and names that are none


def test_an_address_that_is_none_is_said(world, commit, records):
    for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
        address = getattr(constants, name).replace(world.server.url, "http://localhost:abc")
        world.patch(constants, name, address)
    for fetch in (unpinned, lambda: hub.fetch(REPOSITORY, records, commit=commit)):
        with pytest.raises(WeightsError, match=r"http://localhost:abc or the proxy.* HF_ENDPOINT"):
            fetch()


def test_a_name_that_the_hub_cannot_have_is_said(world, records):
    for name in ("me/" + 100 * "a", "me/net.git"):
        with pytest.raises(WeightsError, match=r"Repo.id .*; check the name$"):
            hub.fetch(name, records, commit="0" * 40)
    assert world.server.requests == []


def test_hashes_are_git_s(tmp_path):
    (tmp_path / "file").write_bytes(b"content\n")
    assert etag_of(tmp_path / "file", "0" * 40) == git_hash(b"content\n")
    assert len(etag_of(tmp_path / "file", "0" * 64)) == 64


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("me/my-net", True),
        ("me/r-isonet-18-w32.imagenette", True),
        ("my-net", False),
        ("me/my/net", False),
        ("../net", False),
        ("./net", False),
        ("me/..", False),
        ("me/net.", False),
        ("~/net", False),
        ("/me/net", False),
        ("me/n--t", False),
        ("me/né", False),
    ],
)
def test_a_repository_has_an_owner_and_a_name(name, is_one):
    assert hub.is_repository(name) is is_one
