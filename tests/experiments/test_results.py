"""Mean and spread of what runs came to, written and read."""

import json

import pytest

from isozoo.errors import DataError
from isozoo.experiments import CellResult, Results, RunResult, plot, read_results, read_table

from .conftest import result


def run(seed: int, top1: float | None, **more) -> RunResult:
    return result(**{"row": "isonet", "seed": seed, "top1": top1, **more})


def results(*runs: RunResult) -> Results:
    return Results(table="tiny", scale="small", runs=runs)


def test_a_run_that_diverged_counts_as_guessing():
    cell = CellResult("isonet", "8", (run(0, 0.3), run(1, None), run(2, 0.5)))
    assert cell.mean == pytest.approx(0.3)
    assert cell.spread == pytest.approx(0.2)
    assert (cell.learned, cell.diverged) == (2, 1)
    assert str(cell) == "30.0 ± 20.0 (3), 1 diverged"


@pytest.mark.parametrize(
    ("accuracies", "text"),
    [
        ((0.5,), "50.0"),
        ((0.14,), "14.0, not learned"),
        ((None,), "10.0, diverged"),
        ((0.1, 0.1, 0.5), "23.3 ± 23.1 (3), 2 not learned"),
        ((0.1, None, 0.4), "20.0 ± 17.3 (3), 1 diverged; 1 not learned"),
    ],
)
def test_a_cell_says_what_failed(accuracies, text):
    runs = tuple(run(seed, top1) for seed, top1 in enumerate(accuracies))
    assert str(CellResult("isonet", "8", runs)) == text


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
        text = tiny.read_text().replace('{ name = "16" }, ', "").replace(", 16 = 0", "")
        tiny.write_text(text)
    found = results(run(0, 0.5), run(1, 0.6), run(0, None, row="wild"))
    picture = plot(found, read_table(str(tiny)), tmp_path / "results.png")
    assert picture.stat().st_size > 5000


def test_nothing_is_not_drawn(tmp_path, tiny):
    with pytest.raises(DataError, match="nothing to draw: no run of tiny has been done"):
        plot(results(), read_table(str(tiny)), tmp_path / "results.png")
