"""What the benchmarks write; their times are not tested."""

import importlib
import json
import sys

import pytest


@pytest.fixture
def benchmark(root, monkeypatch):
    """A function that returns a benchmark by its name."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))

    def imported(name):
        for module in (name, "machine"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        return importlib.import_module(name)

    return imported


@pytest.mark.parametrize(("name", "measuring"), [("inference", "measure"), ("penalty", "compare")])
def test_a_result_is_written_whole_and_names_its_machine(
    benchmark, name, measuring, tmp_path, monkeypatch, capsys
):
    module = benchmark(name)
    monkeypatch.setattr(module, measuring, lambda names, *_: [{"name": str(names)}])
    out = tmp_path / "results" / "out.json"
    monkeypatch.setattr(sys, "argv", [name, "isonet-8", "--out", str(out)])
    written = []
    shared = sys.modules["machine"]
    monkeypatch.setattr(shared, "atomic_write", lambda *arguments: written.append(arguments))
    module.main()
    ((path, text),) = written
    assert path == out
    assert text == capsys.readouterr().out
    about = json.loads(text)["machine"]
    assert {"processor", "cores", "system", "python", "keras", "backend"} <= about.keys()
