"""Claims are held against what was measured, and against its noise."""

import pytest

from isozoo.experiments import CellResult, RunResult, read_table, verdicts
from isozoo.experiments.table import Claim


def cell(row: str, *accuracies: float) -> CellResult:
    runs = [
        RunResult(
            row=row, column="8", seed=seed, model="isonet-8", outcome="finished", epochs=1,
            seconds=1.0, top1=top1, chance=0.1,
        )
        for seed, top1 in enumerate(accuracies)
    ]  # fmt: skip
    return CellResult(row, "8", tuple(runs))


def judged(tiny, *cells: CellResult):
    import dataclasses

    claim = Claim(says="one is better", better=("isonet", "8"), than=("wild", "8"))
    table = dataclasses.replace(read_table(str(tiny)), claims=(claim,))
    (verdict,) = verdicts(table, {(c.row, c.column): c for c in cells})
    return verdict


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ((0.60, 0.62), (0.50, 0.52), "agrees"),
        ((0.50, 0.52), (0.60, 0.62), "does not agree"),
        ((0.50, 0.60), (0.48, 0.56), "within the noise"),
        ((0.60,), (0.50,), "within the noise"),  # nothing is known of the noise
    ],
)
def test_a_difference_counts_by_twice_its_standard_error(tiny, one, other, outcome):
    assert judged(tiny, cell("isonet", *one), cell("wild", *other)).outcome == outcome


def test_the_spread_of_one_run_is_that_of_the_others(tiny):
    verdict = judged(tiny, cell("isonet", 0.60, 0.62), cell("wild", 0.50))
    spread = 100 * 0.02 / 2**0.5
    assert verdict.error == pytest.approx((spread**2 / 2 + spread**2) ** 0.5)
    assert verdict.difference == pytest.approx(11)


def test_what_was_not_run_is_said_so(tiny):
    assert judged(tiny, cell("isonet", 0.6)).outcome == "not run"
