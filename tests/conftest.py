"""Fixtures that the tests of more than one room use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository that holds the original implementations' numbers."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the shared/ folder with reference numbers is not beside the repository")
    return folder


@pytest.fixture
def python():
    """Run a program in a fresh interpreter; returns its exit code, stdout and stderr."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **environment},
            check=False,
        )

    return run
