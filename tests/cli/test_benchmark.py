"""isozoo benchmark: what it passes on, how it reports, and its exit codes."""

import json

import pytest

import isozoo
from isozoo.benchmark import turns
from tests.benchmark.conftest import STAND_IN


@pytest.fixture
def fast_and_slow(tmp_path, monkeypatch):
    """Two contenders for a worker that measures nothing."""
    monkeypatch.setattr(turns, "PAUSE", 0.0)
    for function in ("compare", "run_suite"):
        whole = getattr(isozoo.benchmark, function)
        monkeypatch.setattr(
            isozoo.benchmark,
            function,
            lambda *args, whole=whole, **options: whole(
                *args, **options, command=(turns.WORKER[0], str(STAND_IN))
            ),
            raising=False,
        )
    file = tmp_path / "r.py"
    file.write_text("")
    return f"{file}:0.5", f"{file}:1.0"


def test_a_comparison_is_a_table(isozoo_command, fast_and_slow):
    fast, slow = fast_and_slow
    found = isozoo_command(
        "benchmark", "inference", fast, "--against", slow, "--batch-size", "2", "--rounds", "2"
    )
    assert (found.code, found.err) == (0, "")
    head, first, second = (line.split() for line in found.out.splitlines())
    assert head == [
        *("NAME", "IMAGES/S", "LOWEST", "HIGHEST", "FIRST", "CALL", "PEAK", "MEMORY", "x", slow),
    ]
    assert first[:7] == [fast, "4", "4", "4", "0.5", "s", "103"]
    assert first[-4:] == ["2.00", "(2.00", "to", "2.00)"]
    assert second[:4] == [slow, "2", "2", "2"]


def test_a_comparison_is_json_a_file_and_a_plot(isozoo_command, fast_and_slow, tmp_path):
    pytest.importorskip("matplotlib")
    out, plot = tmp_path / "out.json", tmp_path / "out.png"
    arguments = ["--json", "--out", out, "--plot", plot, "--rounds", "1"]
    found = isozoo_command("benchmark", "training", fast_and_slow[0], *arguments)
    assert found.code == 0
    assert json.loads(found.out) == json.loads(out.read_text())
    assert json.loads(found.out)["results"][0]["median"] == 32
    assert plot.stat().st_size > 1000


def test_one_that_failed_is_code_1_and_said(isozoo_command, fast_and_slow):
    bad = fast_and_slow[0].replace("0.5", "crash@0")
    found = isozoo_command("benchmark", "inference", bad, "--rounds", "1")
    assert found.code == 1
    assert found.out.splitlines()[1].split() == [bad, "failed"]
    assert found.err == (
        f"isozoo: {bad} failed: ended with code 1: Traceback | MemoryError: too much of it\n"
    )


@pytest.mark.parametrize(("bound", "code", "verdict"), [(1.5, 0, "yes"), (3, 1, "no")])
def test_a_suite_shows_its_goals_and_one_that_is_not_met_is_code_1(
    isozoo_command, fast_and_slow, tmp_path, bound, code, verdict
):
    fast, slow = fast_and_slow
    suite = tmp_path / "suite.toml"
    suite.write_text(f"""
        title = "all"
        [[rows]]
        key = "one"
        title = "One"
        measure = "inference"
        contenders = ["{fast}", "{slow}"]
        rounds = 1
        goals = [{{title = "speed", subject = "{fast}", rival = "{slow}", at_least = {bound}}}]
    """)
    found = isozoo_command("benchmark", "--suite", suite, "--out", tmp_path / "out.json")
    assert (found.code, found.err) == (code, "")
    lines = found.out.splitlines()
    assert lines[0] == "One"
    assert lines[-1].split() == ["speed", "2.00", "at", "least", str(bound), verdict]
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["rows"][0]["goals"][0]["met"] is (code == 0)
    found = isozoo_command("benchmark", "--suite", suite, "--json", "--rows", "one")
    assert json.loads(found.out)["rows"][0]["goals"] == written["rows"][0]["goals"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a MEASURE and NAMEs, or --suite FILE and neither of them"),
        (["inference", "--suite", "s.toml"], "give a MEASURE and NAMEs, or --suite FILE"),
        (["inference", "isonet-8", "--rows", "x"], "--rows chooses rows of a suite"),
        (["--suite", "s.toml", "--rounds", "3"], "a suite states rounds itself"),
        (["--suite", "s.toml", "--against", "x"], "a suite states against itself"),
        (["--suite", "no-such.toml"], "No such file or directory: no-such.toml"),
        (["inference"], "nobody to time"),
        (["inference", "isonet-8x"], "unknown model 'isonet-8x'"),
        (["speed", "isonet-8"], "unknown measure 'speed'; known: inference"),
        (["inference", "isonet-8", "--rounds", "0"], "rounds must be at least 1"),
    ],
)
def test_mistakes_are_code_2_and_one_line(isozoo_command, arguments, message):
    found = isozoo_command("benchmark", *arguments)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert message in found.err
