"""The two networks of the study of VGG held against each other, at each step of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from isozoo.diagnostics.walks import Smoothness
    from isozoo.experiments.vgg import Measured

#: Fewer moments than these decide nothing, nor do more of which less than this share agree.
LEAST, SHARE = 4, 0.8


class Pair(NamedTuple):
    """One measure of both networks.

    Args:
        name: What is measured.
        less: Whether less is in a network's favour.
        plain: Of the network without batch normalisation, `(moments,)`.
        normalised: Of the one with it, at the same moments.

    Example:
        >>> pair = Pair("beta", True, np.array([2.0, 2, 2, 2, 0]), np.array([1.0, 1, 1, 1, 1]))
        >>> pair.smaller, pair.moments, pair.favours
        (4, 5, 'BN')
        >>> pair._replace(normalised=np.array([1.0, 1, 1, 3, 1])).favours
        'undecided'
    """

    name: str
    less: bool
    plain: np.ndarray
    normalised: np.ndarray

    @property
    def moments(self) -> int:
        """At how many moments it was measured."""
        return len(self.plain)

    @property
    def smaller(self) -> int:
        """At how many of them it is smaller with batch normalisation."""
        return int((self.normalised < self.plain).sum())

    @property
    def favours(self) -> str:
        """`"BN"`, `"plain"`, or `"undecided"`."""
        lower, higher = ("BN", "plain") if self.less else ("plain", "BN")
        larger = int((self.normalised > self.plain).sum())
        for network, count in ((lower, self.smaller), (higher, larger)):
            if self.moments >= LEAST and count >= SHARE * self.moments:
                return network
        return "undecided"

    @property
    def medians(self) -> tuple[float, float]:
        """The median over the moments, a single one of which can be far from all others."""
        return float(np.median(self.plain)), float(np.median(self.normalised))


def _width(found: Smoothness) -> np.ndarray:
    return np.ptp(found.loss_range, axis=1)


def _later(values: np.ndarray) -> np.ndarray:
    """Return the mean over all layers but the first, which has none before it."""
    return values[:, 1:].mean(axis=1)


#: Name, whether less is in a network's favour, and the numbers of one network, one for each moment.
#: They depend on each other: those by a norm or a distance are of the same gradients.
COMPARED: tuple[tuple[str, bool, Callable[[Measured], np.ndarray]], ...] = (
    ("width of the loss range", True, lambda m: _width(m.exact)),
    ("largest difference of gradients", True, lambda m: m.exact.predictiveness[:, 1]),
    ("relative difference of gradients", True,
     lambda m: m.exact.predictiveness[:, 1] / m.exact.gradient_norm),
    ("effective beta-smoothness", True, lambda m: m.exact.beta),
    ("width of the loss range, notebook", True, lambda m: _width(m.notebook)),
    ("largest difference of gradients, notebook", True, lambda m: m.notebook.beta),
    ("covariate shift, L2", True, lambda m: _later(m.shift.l2)),
    ("covariate shift, cosine", False, lambda m: _later(m.shift.cosine)),
    ("covariate shift, L2, notebook", True, lambda m: _later(m.shift_notebook.l2)),
    ("covariate shift, cosine, notebook", False, lambda m: _later(m.shift_notebook.cosine)),
    ("drift of what later layers are given", True, lambda m: _later(m.activations.drift)),
    ("relative distance from the start", True,
     lambda m: m.distances.relative.mean(axis=1)[-1:]),
    ("rise of the landscape at 1/2", True, lambda m: np.array([m.landscape.rise(0.5)])),
)  # fmt: skip


def compared(plain: Measured, normalised: Measured) -> list[Pair]:
    """Return each measure of both networks."""
    return [
        Pair(name, less, *(np.asarray(numbers_of(m), float) for m in (plain, normalised)))
        for name, less, numbers_of in COMPARED
    ]
