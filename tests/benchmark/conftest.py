"""What the benchmark's tests share: a worker that measures nothing, and rivals for it."""

import sys
from pathlib import Path

import pytest

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def command():
    """The program of a worker whose answers are in the names of its contenders."""
    return (sys.executable, str(STAND_IN))


@pytest.fixture
def rival(tmp_path):
    """A function from a name to a contender of that name, from a Python file."""
    file = tmp_path / "rival.py"
    file.write_text("")
    return lambda name: f"{file}:{name}"
