"""Mean and spread of what runs came to, written and read."""

import json

import pytest

from isozoo.errors import DataError
from isozoo.experiments import CellResult, Results, RunResult, plot, read_results, read_table


def run(seed: int, top1: float | None, **more) -> RunResult:
    return RunResult(
        **{
            "row": "isonet", "column": "8", "seed": seed, "model": "isonet-8-w8", "epochs": 1,
            "outcome": "diverged" if top1 is None else "finished", "seconds": 1.0, "top1": top1,
            "chance": 0.1, **more,
        }
    )  # fmt: skip


def results(*runs: RunResult) -> Results:
    return Results(
        table="tiny", scale="small", runs=runs, dataset="colours", machine={"cores": 2}, versions={}
    )


def test_a_run_that_diverged_counts_as_guessing():
    cell = CellResult("isonet", "8", (run(0, 0.3), run(1, None), run(2, 0.5)))
    assert cell.mean == pytest.approx(0.3)
    assert cell.spread == pytest.approx(0.2)
    assert cell.learned == 2


def test_one_run_has_no_spread_and_guessing_is_not_learning():
    cell = CellResult("isonet", "8", (run(0, 0.14),))
    assert cell.spread is None
    assert cell.learned == 0


def test_results_are_read_as_they_were_written(tmp_path):
    found = results(run(1, 0.5), run(0, None, reason="the loss is NaN"))
    found.write(tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == found
    (cell,) = found.cells().values()
    assert [one.seed for one in cell.runs] == [0, 1]


def test_a_file_that_holds_no_results_is_named(tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(DataError, match="no results at"):
        read_results(path)
    path.write_text(json.dumps({"runs": [{"row": "isonet"}]}))
    with pytest.raises(DataError, match="does not hold an experiment's results"):
        read_results(path)


@pytest.mark.parametrize("columns", [1, 2])
def test_lines_or_bars_are_drawn(tmp_path, tiny, columns):
    if columns == 1:
        tiny.write_text(tiny.read_text().replace('{ name = "16" }, ', ""))
    found = results(run(0, 0.5), run(1, 0.6), run(0, 0.2, row="wild"))
    picture = plot(found, read_table(str(tiny)), tmp_path / "results.png")
    assert picture.stat().st_size > 5000


def test_nothing_is_not_drawn(tmp_path, tiny):
    with pytest.raises(DataError, match="nothing to draw: no run of tiny has been done"):
        plot(results(), read_table(str(tiny)), tmp_path / "results.png")
