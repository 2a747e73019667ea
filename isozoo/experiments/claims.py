"""What the paper says of a table, held against what was measured."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping

from isozoo.experiments.results import CellResult
from isozoo.experiments.table import Claim, Table

AGREES, DISAGREES, UNDECIDED, UNMEASURED = "agrees", "does not agree", "within the noise", "not run"
#: Standard errors by which two cells must differ for the difference to count.
ERRORS = 2.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim and what became of it.

    Args:
        claim: The claim, that one cell is better than another.
        difference: Mean accuracy of the one less that of the other, in points; None where one of
            them was not run.
        error: Standard error of the difference in points; None where no cell of the table was run
            with several seeds.

    Example:
        >>> claim = Claim(says="deep is better", better=("isonet", "34"), than=("isonet", "18"))
        >>> [Verdict(claim, d, 1.0).outcome for d in (5.0, -5.0, 1.0)]
        ['agrees', 'does not agree', 'within the noise']
    """

    claim: Claim
    difference: float | None
    error: float | None

    @property
    def outcome(self) -> str:
        """Whether what was measured agrees, by twice the standard error of the difference."""
        if self.difference is None:
            return UNMEASURED
        if self.error is None or abs(self.difference) <= ERRORS * self.error:
            return UNDECIDED
        return AGREES if self.difference > 0 else DISAGREES


def verdicts(table: Table, cells: Mapping[tuple[str, str], CellResult]) -> list[Verdict]:
    """Return what became of each claim of a table.

    The spread of a cell that was run once is taken to be the pooled spread of those with several
    runs.

    Args:
        table: The table.
        cells: What was measured, by the names of row and column.
    """
    spreads = [cell.spread for cell in cells.values() if cell.spread is not None]
    pooled = math.sqrt(statistics.fmean(s**2 for s in spreads)) if spreads else None

    def judged(claim: Claim) -> Verdict:
        pair = [cells.get(place) for place in (claim.better, claim.than)]
        one, other = pair
        if one is None or other is None:
            return Verdict(claim, None, None)
        difference = 100 * (one.mean - other.mean)
        if pooled is None:
            return Verdict(claim, difference, None)
        variances = [_spread(cell, pooled) ** 2 / len(cell.runs) for cell in (one, other)]
        return Verdict(claim, difference, 100 * math.sqrt(sum(variances)))

    return [judged(claim) for claim in table.claims]


def _spread(cell: CellResult, pooled: float) -> float:
    return pooled if cell.spread is None else cell.spread
