"""What the command's tests share."""

from typing import NamedTuple

import pytest

from isozoo.cli import main


class Result(NamedTuple):
    """What a person would have seen."""

    code: int
    out: str
    err: str


@pytest.fixture
def isozoo_command(capsys, monkeypatch):
    """Run the command in this process, as if started with the given arguments."""
    # `choose` writes to the process's environment; monkeypatch puts it back.
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")

    def run(*arguments) -> Result:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return Result(code, *capsys.readouterr())

    return run
