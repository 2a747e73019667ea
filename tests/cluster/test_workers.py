"""How many workers there are and what each gets: numbers that no cluster has are refused."""

import pytest

from isozoo.cluster import Workers
from isozoo.errors import UnknownNameError


def test_a_worker_without_gpus_reserves_none():
    assert Workers(2).resources == {"CPU": 1}


@pytest.mark.parametrize(
    "numbers", [{"count": 0}, {"count": 2, "cpus": 0}, {"count": 2, "gpus": -1}]
)
def test_impossible_numbers(numbers):
    with pytest.raises(ValueError, match="at least 1 worker, with cpus above 0"):
        Workers(**numbers)


def test_unknown_placement():
    with pytest.raises(UnknownNameError, match="unknown placement 'apert'; did you mean 'apart'"):
        Workers(2, placement="apert")
