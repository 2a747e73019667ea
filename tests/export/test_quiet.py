"""What libraries say of themselves is held back, and nothing of the process stays changed."""

import logging
import os

import pytest

from isozoo.export.quiet import quiet_libraries


def library(level):
    """Log as a library that has no logger of its own."""
    record = logging.getLogger().makeRecord(
        "root", level, "/site-packages/onnxruntime/quantization/quantize.py", 1, "step", (), None
    )
    logging.getLogger().handle(record)


def test_only_libraries_are_held_back(caplog):
    with quiet_libraries():
        library(logging.WARNING)
        logging.getLogger("nncf").warning("step")
        logging.getLogger("application").warning("heard")
        logging.getLogger().warning("heard")
        library(logging.ERROR)
    assert [record.getMessage() for record in caplog.records] == ["heard", "heard", "step"]


@pytest.mark.parametrize("before", [None, "false"])
def test_the_process_is_as_it_was_also_after_an_error(monkeypatch, before):
    monkeypatch.delenv("CI", raising=False)
    if before is not None:
        monkeypatch.setenv("CI", before)
    root = logging.getLogger()
    state = root.level, list(root.handlers), list(root.filters), logging.getLogger("nncf").level
    with pytest.raises(OSError, match="full, CI=true"), quiet_libraries():
        raise OSError(f"full, CI={os.environ['CI']}")
    assert os.environ.get("CI") == before
    now = root.level, list(root.handlers), list(root.filters), logging.getLogger("nncf").level
    assert now == state
