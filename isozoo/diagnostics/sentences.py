"""What the page on a run says in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from isozoo.diagnostics.checks import WELL, Checked, Fault
from isozoo.diagnostics.outcomes import Outcome


class Change(NamedTuple):
    """A number at the start of training and at its end."""

    start: float
    end: float


#: What an outcome is called of a run.
_STATES = {"unknown": "ended, and it is unknown how", "unfinished": "is unfinished"}
#: How a fault is told, by what is wrong.
_WAYS = {"signal": "first at {}", "gradient": "on its way back first at {}"}


def of_run(outcome: Outcome) -> str:
    """Return what became of a run."""
    return f"The run {_STATES.get(outcome.state, outcome.state)}: {outcome.text}."


def of_network(network: Checked) -> str:
    """Return what is wrong with a network at initialisation."""
    if network.healthy:
        return (
            "At initialisation nothing is wrong with the network: neither signal nor gradient "
            "dies or explodes. Look at the learning rate, the warm-up and the data."
        )
    clauses = [_of_fault(fault) for fault in network.faults]
    if network.verdict != WELL:
        clauses.append(f"the verdict of propagation is {network.verdict}")
    said = f"At initialisation {'; '.join(clauses)}."
    if math.isfinite(network.angle):
        said += f" Two images are {network.angle:.3g} degrees apart at its end."
    return said


def of_changes(checked: Sequence[Checked]) -> str:
    """Return which changes of a network would help, or harm.

    Args:
        checked: The network as it is, then the changed ones.
    """
    before, *changes = checked
    if before.healthy:
        worse = [change.name for change in changes if not change.healthy]
        return f"Worse would be: {', '.join(worse) or 'none of the changes'}."
    better = [change.name for change in changes if change.healthy]
    if better:
        return f"Well-behaved at initialisation is the network {', or '.join(better)}."
    return "None of the changes that were measured makes the network well-behaved."


def of_penalty(penalty: Change | None, distance: Change | None) -> str:
    """Return what is known of the orthogonality penalty, which works during training.

    Args:
        penalty: Its values in the first and the last epoch of the log; None if none was noted.
        distance: Of the convolutions to isometries, at initialisation and in the weights that the
            run left; None if it left none.
    """
    said = "The log says nothing of the orthogonality penalty."
    if penalty is not None:
        said = (
            f"The orthogonality penalty went from {penalty.start:.4g} to {penalty.end:.4g} in the "
            "log; it works during training, so nothing can be seen of it at initialisation."
        )
    if distance is not None:
        said += (
            " The root mean square distance of the convolutions to isometries, which have 0, was "
            f"{distance.start:.3g} at initialisation and is {distance.end:.3g} in the weights that "
            "the run left."
        )
    return said


def _of_fault(fault: Fault) -> str:
    return f"the {fault.what} {fault.how}, {_WAYS[fault.what].format(fault.place)}"
