"""Whatever goes wrong between the Hub and a network: the right network, or one clear error."""

import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import isozoo
from isozoo.errors import WeightsError
from isozoo.models.variables import named_values
from tests.hub.conftest import NAME, bless
from tests.hub.faults import LOADS, ROWS, table
from tests.hub.mishaps import half_written, kill_while_fetching
from tests.hub.stand_in import Fault
from tests.zoo.conftest import small_network

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def expected():
    return named_values(small_network())


def assert_same(model, expected):
    found = named_values(model)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_the_right_network_or_one_clear_error(world, published, tmp_path, expected, row):
    folder = published
    if row.change is not None:
        folder = shutil.copytree(published, tmp_path / "changed" / NAME)
        row.change(folder)
        bless(folder)
    world.publish(folder)
    world.server.fault = row.fault
    before = world.outside()
    row.before(world)
    # huggingface_hub waits a second before it tries again.
    waits = []
    world.patch(time, "sleep", waits.append)
    if row.error == LOADS:
        assert_same(isozoo.load(NAME, revision=row.revision), expected)
    else:
        with pytest.raises(WeightsError, match=row.error) as raised:
            isozoo.load(NAME, revision=row.revision)
        assert "\n" not in str(raised.value)
    if row.tries is not None:
        assert sum(verb == "GET" for verb, _ in world.asked()) == row.tries
        assert len(waits) == max(row.tries - 1, 0)
    assert world.outside() == before
    assert not world.incomplete() or row.before in (half_written, kill_while_fetching)
    assert not any(path.name == "evil" for path in tmp_path.rglob("*"))


FAULTY = [row for row in ROWS if row.error and row.fault != Fault()]


@pytest.mark.parametrize("row", FAULTY, ids=lambda row: row.what)
def test_what_a_faulty_server_left_is_no_hindrance(world, published, row):
    world.publish(published)
    world.patch(time, "sleep", lambda seconds: None)
    world.server.fault = row.fault
    with pytest.raises(WeightsError, match=row.error):
        world.fetch()
    world.server.fault = Fault()
    folder = world.fetch()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: (published / name).read_bytes() for name in world.files
    }


def test_the_documentation_has_every_fault():
    assert table() in DOCUMENT.read_text(encoding="utf-8"), (
        "docs/reliability.md lacks the table of `python -m tests.hub.faults`"
    )


def test_rows_are_told_apart():
    assert len({row.what for row in ROWS}) == len(ROWS)


def test_rows_that_promise_a_number_of_tries_count_them():
    for row in ROWS:
        assert row.tries is not None or not re.search(r"at once| tries|asked", row.does), row.what
