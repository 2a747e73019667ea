"""What is said of a table, held against what was measured."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping

from isozoo.experiments.results import CellResult
from isozoo.experiments.table import Claim, Table

AGREES, DISAGREES, UNDECIDED = "agrees", "does not agree", "undecided"
UNMEASURED, UNJUDGED = "not run", "one seed: not judged"
#: Chance, at most, that two equal cells are found to differ.
LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim and what became of it.

    Args:
        claim: The claim.
        outcome: Whether what was measured agrees.
        difference: Mean accuracy of the one cell less that of the other, in points; None where
            one of them was not run, or the claim is about one cell.
        margin: Half of the interval, in points, that holds the true difference but for a chance of
            `LEVEL`; None where one of the cells was not run with several seeds.
    """

    claim: Claim
    outcome: str
    difference: float | None = None
    margin: float | None = None


@dataclasses.dataclass(frozen=True)
class Noise:
    r"""The deviation between seeds, taken to be the same in all cells that learned.

    $$s^2 = \frac{\sum_i (n_i - 1) s_i^2}{\sum_i (n_i - 1)}$$

    over the cells with several seeds, all of which learned. It is at least that of counting right
    answers among the validation images.

    Args:
        deviation: The deviation $s$, as a share.
        freedom: Degrees of freedom, $\sum_i (n_i - 1)$.
    """

    deviation: float
    freedom: int

    def margin(self, one: int, other: int) -> float:
        """Return half of the interval that holds the difference of two means, as a share.

        Args:
            one: Runs of the one cell.
            other: Runs of the other.
        """
        error = self.deviation * math.sqrt(1 / one + 1 / other)
        return student_quantile(1 - LEVEL / 2, self.freedom) * error


def noise(cells: Iterable[CellResult]) -> Noise | None:
    """Return the noise of a table's cells, or None if none was run with several seeds."""
    several = [c for c in cells if len(c.runs) > 1 and c.learned == len(c.runs)]
    freedom = sum(len(cell.runs) - 1 for cell in several)
    if not freedom:
        return None
    spreads = ((len(cell.runs) - 1) * statistics.variance(cell.values) for cell in several)
    mean = statistics.fmean(cell.mean for cell in several)
    images = statistics.fmean(run.images or 1 for cell in several for run in cell.runs)
    counting = mean * (1 - mean) / images
    return Noise(math.sqrt(max(sum(spreads) / freedom, counting)), freedom)


def student_quantile(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution, to 4 % with 2 degrees of freedom or more.

    Args:
        probability: Between 0 and 1.
        freedom: Degrees of freedom, at least 2 to be of use.

    Reference:
        Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5.

    Example:
        >>> [round(student_quantile(0.975, n), 2) for n in (4, 10, 1000)]
        [2.77, 2.23, 1.96]
    """
    z = statistics.NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def verdicts(table: Table, cells: Mapping[tuple[str, str], CellResult]) -> list[Verdict]:
    """Return what became of each claim of a table.

    A cell trains if all its runs learned, and fails if none did. Two cells with several seeds each
    differ if zero is not in the interval of their difference; chance alone decides one in twenty.

    Args:
        table: The table.
        cells: What was measured, by the names of row and column.
    """
    found = noise(cells.values())
    return [_judged(claim, cells, found) for claim in table.claims]


def _judged(
    claim: Claim, cells: Mapping[tuple[str, str], CellResult], found: Noise | None
) -> Verdict:
    named = {what: cells.get(place) for what, place in claim.cells.items()}
    present = {what: cell for what, cell in named.items() if cell is not None}
    if len(present) < len(named):
        return Verdict(claim, UNMEASURED)
    if "better" in present:
        return _compared(claim, present["better"], present["than"], found)
    ((what, cell),) = present.items()
    share = cell.learned / len(cell.runs)
    wanted = {"trains": 1.0, "fails": 0.0}[what]
    outcome = AGREES if share == wanted else DISAGREES if share == 1 - wanted else UNDECIDED
    return Verdict(claim, outcome)


def _compared(claim: Claim, one: CellResult, other: CellResult, found: Noise | None) -> Verdict:
    difference = 100 * (one.mean - other.mean)
    # Of a cell that was run once nothing says that its seeds agree as well as those of others.
    if found is None or min(len(one.runs), len(other.runs)) < 2:
        return Verdict(claim, UNJUDGED, difference)
    margin = 100 * found.margin(len(one.runs), len(other.runs))
    outcome = UNDECIDED if abs(difference) <= margin else AGREES if difference > 0 else DISAGREES
    return Verdict(claim, outcome, difference, margin)
