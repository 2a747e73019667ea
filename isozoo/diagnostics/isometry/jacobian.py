"""Singular values of a whole network's Jacobian at a picture, without the Jacobian."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics import showing
from isozoo.diagnostics.calibration import batch_statistics
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.gradients import value_and_jvp, value_and_vjp
from isozoo.diagnostics.isometry.flow import cuts
from isozoo.diagnostics.isometry.projections import (
    APPLICATIONS,
    OVERSAMPLING,
    POWERS,
    Singular,
    singular_values,
)
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.surface import activation_bytes
from isozoo.diagnostics.taps import Graph, Step, graph, play
from isozoo.errors import DiagnosticsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: Statistics that batch normalisations take: their running ones, or those of a batch.
RUNNING, BATCH = "running", "batch"


@dataclasses.dataclass(frozen=True)
class NetworkJacobian:
    """The singular values of one network's Jacobian, at each of several images.

    Args:
        label: What the network is called.
        output: Step up to which the network goes.
        shape: Rows and columns of the Jacobian: numbers of the output and of an image.
        values: The largest singular values, each at most the true one, `(images, count)`.
        errors: How far the nearest true one is at most, `(images, count)`; the largest may be
            farther.
        frobenius: Frobenius norm, `(images,)`.
        frobenius_error: Its standard error, `(images,)`; 0 where it is exact.
        exact: Whether all of the Jacobian was computed.
        statistics: Those that batch normalisations took: `"running"` or `"batch"`.
    """

    label: str
    output: str
    shape: tuple[int, int]
    values: np.ndarray
    errors: np.ndarray
    frobenius: np.ndarray
    frobenius_error: np.ndarray
    exact: bool
    statistics: str = RUNNING

    @property
    def typical(self) -> np.ndarray:
        """Root mean square of all singular values, `(images,)`; 1 for an isometry."""
        return self.frobenius / math.sqrt(min(self.shape))

    @property
    def effective_rank(self) -> np.ndarray:
        """Square of the Frobenius norm by that of the largest singular value, `(images,)`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.square(self.frobenius / self.values[:, 0])


@dataclasses.dataclass(frozen=True)
class Jacobian(Result):
    """What `measure_jacobian` found of one network, or of several side by side.

    Args:
        model: What was measured.
        networks: One for each network.
    """

    measure = "jacobian"

    networks: tuple[NetworkJacobian, ...]

    def beside(self, *others: Jacobian) -> Jacobian:
        """Return these networks and others in one result: before and after, or a comparison."""
        found = [network for each in (self, *others) for network in each.networks]
        return Jacobian(", ".join(network.label for network in found), tuple(found))

    def table(self) -> Table:
        """Return a row for each network, of means over the images."""
        numbers = ("LARGEST >=", "A TRUE ONE +-", "RMS", "+-", "EFFECTIVE RANK <=", "OF")
        texts = ("NETWORK", "UP TO", "STATISTICS")
        found = showing.table(*texts, *numbers, right=numbers, title="Jacobian")
        for network in self.networks:
            row = (
                network.values[:, 0].mean(),
                network.errors[:, 0].max(),
                network.typical.mean(),
                (network.frobenius_error / math.sqrt(min(network.shape))).max(),
                network.effective_rank.mean(),
            )
            rank = f"{min(network.shape):,}"
            names = (network.label, network.output, network.statistics)
            found.add_row(*names, *map(showing.number, row), rank)
        found.caption = (
            "LARGEST is found from below, and a true singular value is within A TRUE ONE of it; "
            "STATISTICS: those that batch normalisations took"
        )
        found.caption_justify = "left"
        return found

    def plot(self) -> Figure:
        """Return the singular values, those of each image as a line, and their root mean square.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        picture, panels = showing.figure(columns=len(self.networks))
        for axes, network in zip(panels[0], self.networks, strict=True):
            order = np.arange(1, network.values.shape[1] + 1)
            for values, errors in zip(network.values, network.errors, strict=True):
                axes.errorbar(order, values, errors, color="C0", alpha=0.5, marker=".")
            for typical in network.typical:
                axes.axhline(typical, color="C1", alpha=0.5)
            axes.axhline(1.0, color="0.25", linewidth=0.8, linestyle="--")
            axes.set_yscale("log")
            axes.set(xlabel="singular value", title=f"{network.label}, up to {network.output}")
            axes.grid(alpha=0.3)
        panels[0][0].set_ylabel("largest of each image, and root mean square of all")
        return picture


def measure_jacobian(
    model: keras.Model,
    images: Any,
    *,
    output: str | None = None,
    batch: Any = None,
    count: int = 10,
    seed: int = 0,
    label: str | None = None,
) -> Jacobian:
    r"""Measure the largest singular values of a network's Jacobian at images.

    $$J = \frac{\partial f(x)}{\partial x}$$

    by products with it and its transpose only (see `singular_values`), in inference mode, so that
    images do not depend on each other.

    Args:
        model: A functional or sequential model of one input.
        images: Preprocessed images `(images, height, width, channels)`, each a point of its own.
        output: Step up to which the network goes, see `isozoo.diagnostics.steps`; the last feature
            map if None, as the logits' Jacobian has no more rows than there are classes.
        batch: A preprocessed batch whose statistics batch normalisations take, which an untrained
            network needs (see `batch_statistics`); their running statistics if None.
        count: How many singular values.
        seed: Of the random directions.
        label: What the network is called; its name if None.

    Returns:
        Singular values with error bounds, and the root mean square of all of them.

    Raises:
        DiagnosticsError: The model has no graph, or several inputs.
        UnknownNameError: There is no step of that name.

    Reference:
        Pennington et al., "Resurrecting the Sigmoid in Deep Learning through Dynamical Isometry",
        NeurIPS 2017.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> images = np.random.default_rng(0).normal(size=(1, 8, 8, 3))
        >>> (found,) = measure_jacobian(model, images, output="head/head_fc").networks
        >>> found.shape, found.exact, found.values.shape
        ((2, 192), True, (1, 2))
    """
    walked = graph(model)
    if len(walked.sources) != 1:
        raise DiagnosticsError(
            f"{model.name} has {len(walked.sources)} inputs; a Jacobian is measured of networks "
            "that take images alone"
        )
    end = output or _last_map(walked)
    upto = _upto(walked, end)
    inputs = np.asarray(ops.convert_to_numpy(images))
    found, shape = [], (0, 0)
    own = batch is None
    with contextlib.nullcontext() if own else batch_statistics(model, batch):
        for image in showing.track(inputs, f"Jacobian of {model.name}", len(inputs)):
            products = _Products(upto, image)
            shape = products.shape
            found.append(singular_values(products.forward, products.backward, shape, count, seed))
    label = label or model.name
    return Jacobian(label, (_network(label, end, shape, found, RUNNING if own else BATCH),))


def jacobian_cost(model: keras.Model, images: Any, count: int = 10) -> Cost:
    """Return what `measure_jacobian` will cost."""
    size = count + OVERSAMPLING
    # A derivative along a direction costs two passes, and one against it three.
    work = len(images) * APPLICATIONS * 5 // 2
    held = 3 * size * activation_bytes(model, images[:1])
    # The basis in float64 and what it is made of, and as much while it is decomposed.
    held += 2 * (POWERS + 1) * size * 8 * 2 * images[0].size
    return Cost("singular values of the Jacobian", work, size, held)


class _Products:
    """Products with the Jacobian at one image, and its transpose.

    All directions are taken at once, in a batch of copies of the image: in inference mode a
    network answers each image by itself.

    Args:
        walked: The network, up to its output.
        image: The image.
    """

    def __init__(self, walked: Graph, image: np.ndarray):
        self._walked = walked
        self._image = image
        self._made = tuple(play(walked, image[None])[0].shape[1:])
        self.shape = (math.prod(self._made), image.size)

    def forward(self, vectors: np.ndarray) -> np.ndarray:
        tangents = vectors.T.reshape(-1, *self._image.shape)
        _, found = value_and_jvp(self._apply, [self._copies(tangents)], [self._tensor(tangents)])
        return self._columns(found)

    def backward(self, vectors: np.ndarray) -> np.ndarray:
        cotangents = vectors.T.reshape(-1, *self._made)
        _, pullback = value_and_vjp(self._apply, [self._copies(cotangents)])
        (found,) = pullback(self._tensor(cotangents))
        return self._columns(found)

    def _apply(self, x: Any) -> Any:
        return play(self._walked, x)[0]

    def _copies(self, directions: np.ndarray) -> Any:
        copies = np.broadcast_to(self._image, (len(directions), *self._image.shape))
        return self._tensor(copies)

    def _tensor(self, values: np.ndarray) -> Any:
        return ops.convert_to_tensor(values, dtype=self._walked.inputs[0].dtype)

    @staticmethod
    def _columns(tensor: Any) -> np.ndarray:
        values = np.asarray(ops.convert_to_numpy(tensor), dtype="float64")
        return values.reshape(len(values), -1).T


def _last_map(walked: Graph) -> str:
    """Return the last cut before positions are pooled, or the last step if there is none."""
    maps = itertools.takewhile(_has_positions, cuts(walked))
    return [walked.steps[-1].name, *(step.name for step in maps)][-1]


def _has_positions(step: Step) -> bool:
    return len(step.shape) == 4 and not step.kind.startswith("Global")


def _upto(walked: Graph, name: str) -> Graph:
    last = walked.step(name)
    steps = walked.steps[: walked.steps.index(last) + 1]
    return walked._replace(results=last.outputs, steps=steps)


def _network(
    label: str, output: str, shape: tuple[int, int], found: list[Singular], statistics: str
) -> NetworkJacobian:
    return NetworkJacobian(
        label,
        output,
        shape,
        np.stack([one.values for one in found]),
        np.stack([one.errors for one in found]),
        np.array([one.frobenius for one in found]),
        np.array([one.frobenius_error for one in found]),
        all(one.exact for one in found),
        statistics,
    )
