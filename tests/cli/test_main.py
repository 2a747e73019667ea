"""What happens around every command: help, errors, backends, interruptions."""

import os
import re
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
    for name in ("list", "info", "predict", "train", "evaluate", "benchmark", "convert"):
        assert re.search(rf"\n    {name}\s", found.out), name


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
    with subprocess.Popen(
        [sys.executable, "-m", "isozoo", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A pipe holds 64 KiB; unbuffered lines meet the closed end for certain.
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as command:
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 0


class TestBackend:
    """--backend decides before Keras is first imported, or says why it cannot."""

    @pytest.fixture
    def imported(self, monkeypatch):
        """A process that has not imported Keras yet; what it imports."""
        modules = []
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
        monkeypatch.setenv("KERAS_BACKEND", "unset")
        monkeypatch.setattr(backend.importlib, "import_module", modules.append)
        return modules

    def test_it_is_what_keras_reads_as_it_is_imported(self, imported):
        backend.start("tensorflow")
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
        assert imported == ["keras"]

    def test_without_one_keras_decides(self, imported):
        backend.start(None)
        assert os.environ["KERAS_BACKEND"] == "unset"

    def test_one_that_is_not_installed_is_named(self, imported, monkeypatch):
        monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match=r"--backend jax.*pip install jax"):
            backend.start("jax")
        assert imported == []

    def test_one_that_the_environment_names_is_not_installed(self, imported, monkeypatch):
        def absent(name):
            raise ModuleNotFoundError("No module named 'jax'", name="jax")

        monkeypatch.setattr(backend.importlib, "import_module", absent)
        with pytest.raises(MissingExtraError, match=r"backend jax \(by KERAS_BACKEND.*pip install"):
            backend.start(None)

    def test_it_cannot_change_once_keras_runs(self, imported, monkeypatch):
        keras = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: "tensorflow"))
        monkeypatch.setitem(sys.modules, "keras", keras)
        with pytest.raises(IsozooError, match=r"asked for --backend jax, but .* on tensorflow"):
            backend.start("jax")

    @pytest.mark.parametrize(("before", "after"), [(None, "3"), ("0", "0")])
    def test_tensorflow_is_quiet_unless_told_otherwise(self, imported, monkeypatch, before, after):
        if before is not None:
            monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
        backend.start(None)
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after

    def test_only_start_up_notes_are_held_back(self, imported, monkeypatch, capfd):
        lines = "I0000 00:00:179.5 1 port.cc:153] note\nUserWarning: this matters\n"
        monkeypatch.setattr(
            backend.importlib, "import_module", lambda name: os.write(2, lines.encode())
        )
        backend.start(None)
        assert capfd.readouterr().err == "UserWarning: this matters\n"

    def test_a_command_that_needs_no_keras_has_no_such_option(self, isozoo_command):
        assert isozoo_command("list", "--backend", "jax").code == 2


def test_main_returns_its_code():
    assert main(["list", "isonet-101"]) == 0
