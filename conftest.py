"""Runs the Python blocks of README.md and docs/ as tests, one namespace for each document."""

import os
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent

# Read by TensorFlow as it is loaded, which is after this file: no start-up notes, and one thread
# for each of the workers that share the cores under `pytest -n`.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
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
