"""Claims are held against what was measured, and against its noise."""

import dataclasses
import random

import pytest

from isozoo.experiments import CellResult, noise, read_table, verdicts
from isozoo.experiments.claims import student_quantile
from isozoo.experiments.table import Claim

from .conftest import result

BETTER = Claim(says="one is better", better=("isonet", "8"), than=("wild", "8"))


def cell(row: str, *accuracies: float | None, images: int = 10**6) -> CellResult:
    runs = (
        result(row, seed, top1, images=None if top1 is None else images)
        for seed, top1 in enumerate(accuracies)
    )
    return CellResult(row, "8", tuple(runs))


def judged(tiny, claim: Claim, *cells: CellResult):
    table = dataclasses.replace(read_table(str(tiny)), claims=(claim,))
    (verdict,) = verdicts(table, {(c.row, c.column): c for c in cells})
    return verdict


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ((0.60, 0.61, 0.62), (0.50, 0.51, 0.52), "agrees"),
        ((0.50, 0.51, 0.52), (0.60, 0.61, 0.62), "does not agree"),
        ((0.50, 0.60, 0.55), (0.48, 0.56, 0.54), "undecided"),
        ((0.60,), (0.50,), "one seed: not judged"),
        ((0.60, 0.61, 0.62), (0.50,), "one seed: not judged"),
    ],
)
def test_a_difference_counts_if_chance_seldom_makes_it(tiny, one, other, outcome):
    assert judged(tiny, BETTER, cell("isonet", *one), cell("wild", *other)).outcome == outcome


def test_the_margin_is_of_the_pooled_deviation(tiny):
    one, other = cell("isonet", 0.60, 0.62, 0.64), cell("wild", 0.50, 0.52)
    verdict = judged(tiny, BETTER, one, other)
    assert verdict.difference == pytest.approx(11)
    # Variances 4e-4 with 2 degrees of freedom and 2e-4 with 1; the quantile of 3 is 3.182.
    deviation = ((2 * 4e-4 + 2e-4) / 3) ** 0.5
    assert verdict.margin == pytest.approx(318.2 * deviation * (1 / 3 + 1 / 2) ** 0.5, rel=0.02)


def test_right_answers_are_counted_among_few_images(tiny):
    found = noise([cell("isonet", 0.5, 0.5, images=100)])
    assert found is not None
    assert found.deviation == pytest.approx(0.05)


def test_cells_that_did_not_learn_say_nothing_of_the_noise():
    assert noise([cell("isonet", 0.1, 0.1), cell("wild", None, 0.5)]) is None


@pytest.mark.parametrize(
    ("what", "accuracies", "outcome"),
    [
        ("trains", (0.5, 0.6), "agrees"),
        ("trains", (0.1, 0.6), "undecided"),
        ("trains", (0.1, None), "does not agree"),
        ("fails", (0.1, None), "agrees"),
        ("fails", (0.5, 0.6), "does not agree"),
    ],
)
def test_a_network_trains_if_all_its_runs_learned(tiny, what, accuracies, outcome):
    claim = Claim(says="it does", **{what: ("wild", "8")})
    assert judged(tiny, claim, cell("wild", *accuracies)).outcome == outcome


def test_what_was_not_run_is_said_so(tiny):
    assert judged(tiny, BETTER, cell("isonet", 0.6)).outcome == "not run"


@pytest.mark.parametrize(
    ("freedom", "exact"), [(2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (10**6, 1.960)]
)
def test_quantiles_are_those_of_the_tables(freedom, exact):
    assert student_quantile(0.975, freedom) == pytest.approx(exact, rel=0.04)


def test_chance_alone_decides_one_in_twenty(tiny):
    draw = random.Random(0)
    decided = 0
    for _ in range(400):
        one, other = ([0.5 + 0.01 * draw.gauss(0, 1) for _ in range(3)] for _ in range(2))
        verdict = judged(tiny, BETTER, cell("isonet", *one), cell("wild", *other))
        decided += verdict.outcome != "undecided"
    assert 4 <= decided <= 40
