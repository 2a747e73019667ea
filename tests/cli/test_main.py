"""What happens around every command: help, errors, backends, interruptions."""

import os
import subprocess
import sys
import types

import pytest

import isozoo
from isozoo.cli import backend, main
from isozoo.errors import IsozooError, MissingExtraError, WeightsError


def test_help_names_every_command(isozoo_command):
    found = isozoo_command("--help")
    assert found.code == 0
    for name in ("list", "info", "predict", "train", "evaluate"):
        assert f"\n    {name} " in found.out


def test_version(isozoo_command):
    assert isozoo_command("--version").out == f"isozoo {isozoo.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["lst"], ["predict"], ["predict", "a.png", "--top", "0"]]
)
def test_a_mistake_in_the_arguments_is_code_2_and_shows_the_usage(isozoo_command, arguments):
    found = isozoo_command(*arguments)
    assert found.code == 2
    assert found.err.startswith("usage: isozoo")
    assert found.out == ""


def test_an_unknown_name_is_one_line_with_the_nearest_names(isozoo_command):
    found = isozoo_command("info", "r-isonet-18x")
    assert found.code == 2
    assert found.out == ""
    assert found.err.count("\n") == 1
    assert found.err.startswith("isozoo: unknown model 'r-isonet-18x'; did you mean 'r-isonet-18'")


@pytest.mark.parametrize(
    "error", [WeightsError("first\n  second"), PermissionError("first second")]
)
def test_errors_that_are_no_bugs_are_one_line(isozoo_command, monkeypatch, error):
    def info(name):
        raise error

    monkeypatch.setattr(isozoo, "info", info)
    assert isozoo_command("info", "x") == (2, "", "isozoo: first second\n")


def test_a_bug_keeps_its_traceback(isozoo_command, monkeypatch):
    def info(name):
        raise ZeroDivisionError

    monkeypatch.setattr(isozoo, "info", info)
    with pytest.raises(ZeroDivisionError):
        isozoo_command("info", "x")


def test_debug_shows_where_an_error_was_raised(isozoo_command):
    with pytest.raises(IsozooError, match="unknown model"):
        isozoo_command("info", "nothing-like-it", "--debug")


def test_ctrl_c_is_code_130(isozoo_command, monkeypatch):
    def info(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(isozoo, "info", info)
    assert isozoo_command("info", "x") == (130, "", "isozoo: interrupted\n")


def test_a_reader_that_stops_early_is_no_error():
    command = subprocess.Popen(
        [sys.executable, "-m", "isozoo", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A pipe holds 64 KiB; unbuffered lines meet the closed end for certain.
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait(60) == 0
    command.stderr.close()


class TestBackend:
    """--backend decides before Keras is first imported, or says why it cannot."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch):
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
        monkeypatch.setenv("KERAS_BACKEND", "unset")

    def test_it_is_what_keras_reads(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        backend.choose("tensorflow")
        assert os.environ["KERAS_BACKEND"] == "tensorflow"

    def test_without_one_keras_decides(self):
        backend.choose(None)
        assert os.environ["KERAS_BACKEND"] == "unset"

    def test_one_that_is_not_installed_is_named(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match=r"--backend jax.*pip install jax"):
            backend.choose("jax")

    def test_it_cannot_change_once_keras_runs(self, monkeypatch):
        keras = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: "tensorflow"))
        monkeypatch.setitem(sys.modules, "keras", keras)
        with pytest.raises(IsozooError, match=r"asked for --backend jax, but .* on tensorflow"):
            backend.choose("jax")

    @pytest.mark.parametrize(("before", "after"), [(None, "2"), ("0", "0")])
    def test_tensorflow_starts_quietly_unless_told_otherwise(self, monkeypatch, before, after):
        if before is not None:
            monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
        backend.choose(None)
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after

    def test_a_command_that_needs_no_keras_has_no_such_option(self, isozoo_command):
        assert isozoo_command("list", "--backend", "jax").code == 2


def test_main_returns_its_code():
    assert main(["list", "isonet-101"]) == 0
