"""Runs the Python blocks of README.md and docs/ as tests, one namespace for each document."""

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md"],
    fixtures=["reader_folder"],
).pytest()


@pytest.fixture(scope="session")
def _reader_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


@pytest.fixture
def reader_folder(_reader_folder, monkeypatch):
    """Run in a folder where a reader has the examples and may write files."""
    monkeypatch.chdir(_reader_folder)
