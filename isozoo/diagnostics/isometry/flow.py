"""Norms and angles of data on its way through a network, and of gradients on their way back.

A network is cut where everything flows through one tensor: after each layer of a plain network,
after each block of a residual one. Between two cuts lies a unit, which keeps norms and angles if it
is an isometry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics import showing
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.gradients import value_and_vjp
from isozoo.diagnostics.losses import Loss, default_loss
from isozoo.diagnostics.result import Result
from isozoo.diagnostics.surface import activation_bytes
from isozoo.diagnostics.taps import Graph, Step, graph, play, stream
from isozoo.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: What the images themselves are called among the cuts.
INPUT = "input"


class Flow(NamedTuple):
    """Norms and angles of one vector for each image, at each cut.

    Args:
        norms: Root mean square over the images of the norm, `(cuts,)`.
        angles: Mean over pairs of images of the angle between their vectors in degrees, `(cuts,)`.
        gains: Mean over the images of the norm after a unit by that before it, `(units,)`.
        spread: Standard deviation of that over the images, `(units,)`.
        turns: Root mean square over pairs of the change of their angle in degrees, `(units,)`.
    """

    norms: np.ndarray
    angles: np.ndarray
    gains: np.ndarray
    spread: np.ndarray
    turns: np.ndarray


@dataclasses.dataclass(frozen=True)
class NetworkFlow:
    """Signals and gradients of one network.

    Args:
        label: What the network is called.
        training: Whether it was measured in training mode.
        cuts: Names of the cuts: `"input"`, then the step that makes each tensor.
        signals: Of the images on their way forward.
        gradients: Of the loss on its way back, by the same cuts: a unit's gain is the norm of the
            gradient before it by that after it.
    """

    label: str
    training: bool
    cuts: tuple[str, ...]
    signals: Flow
    gradients: Flow


#: What is drawn and compared of a network: title, whether on a logarithmic axis, and the values.
PANELS: tuple[tuple[str, bool, Callable[[NetworkFlow], np.ndarray]], ...] = (
    ("norm of the signal, by the input's", True, lambda n: n.signals.norms / n.signals.norms[0]),
    (
        "norm of the gradient, by the logits'",
        True,
        lambda n: n.gradients.norms / n.gradients.norms[-1],
    ),
    ("angle between signals in degrees", False, lambda n: n.signals.angles),
    ("angle between gradients in degrees", False, lambda n: n.gradients.angles),
)


@dataclasses.dataclass(frozen=True)
class Isometry(Result):
    """How a network keeps norms and angles, or several networks side by side.

    Args:
        model: What was measured.
        images: Images that it was measured on.
        networks: One for each network.
    """

    measure = "isometry"

    images: int
    networks: tuple[NetworkFlow, ...]

    def beside(self, *others: Isometry) -> Isometry:
        """Return these networks and others in one result: before and after, or a comparison."""
        found = [network for each in (self, *others) for network in each.networks]
        labels = ", ".join(network.label for network in found)
        return Isometry(labels, self.images, tuple(found))

    def table(self) -> Table:
        """Return a row for each unit."""
        numbers = ("GAIN", "+-", "TURN", "GAIN BACK", "+- BACK", "TURN BACK")
        found = showing.table(
            "NETWORK", "UP TO", *numbers, right=numbers, title="norms and angles, unit by unit"
        )
        for network in self.networks:
            columns = [
                values
                for flow in (network.signals, network.gradients)
                for values in (flow.gains, flow.spread, flow.turns)
            ]
            for name, *row in zip(network.cuts[1:], *columns, strict=True):
                found.add_row(network.label, name, *map(showing.number, row))
        found.caption = (
            "GAIN: norm after the unit by norm before it (BACK: of the gradient, before by after); "
            "TURN: change of the angle between two images, in degrees. An isometry has 1 and 0"
        )
        found.caption_justify = "left"
        return found

    def plot(self) -> Figure:
        """Return norms and angles over depth, a line for each network.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        picture, panels = showing.figure(columns=2, rows=2)
        for axes, (title, logarithmic, values) in zip(panels.flat, PANELS, strict=True):
            for network in self.networks:
                depth = np.linspace(0, 1, len(network.cuts))
                axes.plot(depth, values(network), marker=".", markersize=3, label=network.label)
            if logarithmic:
                axes.set_yscale("log")
            axes.set(title=title, xlabel="depth, as a share of the network's units")
            axes.grid(alpha=0.3)
        panels[0][0].legend(fontsize=8)
        return picture


def measure_isometry(
    model: keras.Model,
    images: Any,
    labels: Any,
    *,
    loss: Loss | None = None,
    training: bool = False,
    label: str | None = None,
) -> Isometry:
    r"""Measure how a network keeps the norms of images and the angles between them, and back.

    $$\frac{\lVert x^{l+1}_i \rVert}{\lVert x^l_i \rVert}, \quad
      \angle(x^{l+1}_i, x^{l+1}_j) - \angle(x^l_i, x^l_j), \quad
      \frac{\lVert \partial L / \partial x^l_i \rVert}
           {\lVert \partial L / \partial x^{l+1}_i \rVert}, \quad \ldots$$

    for images $i$ and $j$ at the cuts $l$ of the network. Nothing is subtracted first. Pairs are
    neighbours in the batch, the first being the last one's neighbour.

    Args:
        model: A functional or sequential model.
        images: A preprocessed batch `(batch, height, width, channels)` of at least two images.
        labels: What `loss` compares with, such as classes `(batch,)`.
        loss: Of labels and what the model returns, a list if it returns several tensors; summed.
            Cross-entropy of logits, or of a softmax's probabilities, if None.
        training: Whether in training mode, which an untrained network with batch normalisation
            needs: its running statistics are not yet those of any data.
        label: What the network is called; its name if None.

    Returns:
        Norms, angles and how units change them, at each cut.

    Raises:
        DiagnosticsError: The model has no graph; or no loss is given, and it returns neither logits
            nor a softmax.
        DataError: There are fewer than two images.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020, section 3.1.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2, dropout=0.0))
        >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
        >>> (found,) = measure_isometry(model, images, np.arange(4) % 2).networks
        >>> found.cuts[:3], found.signals.gains.shape
        (('input', 'backbone/stem_conv', 'backbone/stem_relu'), (19,))
    """
    if len(images) < 2:
        raise DataError(f"angles need at least two images, got {len(images)}; give more")
    walked = graph(model)
    # Refused before anything is computed.
    compare = loss or default_loss(walked)
    steps = cuts(walked)
    names = (INPUT, *(step.name for step in steps))
    progress = showing.track(range(2), f"norms and angles of {model.name}")
    next(progress)
    signals, shapes = [_seen(images)], []
    for _, _, output in stream(walked, images, training, names[1:]):
        signals.append(_seen(output))
        shapes.append(tuple(output.shape))
    forward = _flow(signals)
    next(progress)
    gradients = _gradients(walked, images, labels, steps, shapes, compare, training)
    backward = _flow(list(map(_seen, gradients)), back=True)
    list(progress)
    label = label or model.name
    network = NetworkFlow(label, training, names, forward, backward)
    return Isometry(label, len(images), (network,))


def isometry_cost(model: keras.Model, images: Any) -> Cost:
    """Return what `measure_isometry` will cost."""
    walked = graph(model)
    ends = activation_bytes(walked, images, [step.name for step in cuts(walked)])
    normal = [step.name for step in walked.steps if "Normalization" in step.kind]
    # All that is computed is kept for the gradients, and what normalisations have centred; of each
    # cut what is added, the sum and the gradient beside it; and the images with theirs.
    held = activation_bytes(walked, images) + activation_bytes(walked, images, normal) + 3 * ends
    held += 2 * np.asarray(images).nbytes
    return Cost("norms and angles of signals and gradients", 4, len(images), held)


def cuts(walked: Graph) -> list[Step]:
    """Return the steps after which everything flows through the one tensor that they make.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> [step.name for step in cuts(graph(Classifier(architecture("resnet-8"))))][3:6]
        ['backbone/s1_b1_add', 'backbone/s1_b1_relu', 'backbone/s2_b1_add']
    """
    alive, found = set(walked.sources), []
    for step, ends in zip(walked.steps, walked.lives(), strict=True):
        alive = (alive | set(step.outputs)) - set(ends)
        if alive == set(step.outputs) and len(alive) == 1:
            found.append(step)
    return found


def _gradients(
    walked: Graph,
    images: Any,
    labels: Any,
    steps: list[Step],
    shapes: list[tuple[int, ...]],
    compare: Loss,
    training: bool,
) -> tuple[Any, ...]:
    """Return the gradient of the summed loss at the input and at each cut."""
    targets = ops.convert_to_tensor(labels)
    place = {step.name: number for number, step in enumerate(steps)}

    def lost(x: Any, *added: Any) -> Any:
        def change(step: Step, output: Any) -> Any:
            if step.name not in place:
                return output
            return output + ops.cast(added[place[step.name]], output.dtype)

        found = play(walked, x, training, change)
        return ops.sum(compare(targets, found[0] if len(found) == 1 else found))

    x = ops.convert_to_tensor(images, dtype=walked.inputs[0].dtype)
    zeros = [ops.zeros(shape) for shape in shapes]
    value, pullback = value_and_vjp(lost, [x, *zeros])
    return pullback(ops.ones_like(value))


class _Seen(NamedTuple):
    norms: np.ndarray
    angles: np.ndarray


def _seen(tensor: Any) -> _Seen:
    """Return the norm of each image's part, and its angle to the next one's in degrees."""
    values = np.asarray(ops.convert_to_numpy(tensor))
    # Two images at a time in float64: a whole batch of the first feature maps is large.
    first = before = _unit(values[0])
    norms, angles = [first[1]], []
    for image in values[1:]:
        here = _unit(image)
        norms.append(here[1])
        angles.append(_angle(before[0], here[0]))
        before = here
    angles.append(_angle(before[0], first[0]))
    return _Seen(np.array(norms), np.array(angles))


def _unit(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the direction of an image's numbers and their norm."""
    row = image.reshape(-1).astype("float64")
    # By the largest, so that squares of tiny or huge numbers are neither 0 nor infinite.
    largest = np.abs(row).max() or 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        row /= largest
        norm = np.linalg.norm(row)
        row /= norm
    return row, float(norm * largest)


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    # Of small angles the cosine knows half of the digits, and this all of them.
    return float(
        np.degrees(2 * np.arctan2(np.linalg.norm(one - other), np.linalg.norm(one + other)))
    )


def _flow(seen: list[_Seen], back: bool = False) -> Flow:
    norms = np.stack([found.norms for found in seen])
    angles = np.stack([found.angles for found in seen])
    before, after = (norms[1:], norms[:-1]) if back else (norms[:-1], norms[1:])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        gains = after / before
        return Flow(
            np.sqrt(np.square(norms).mean(axis=1)),
            angles.mean(axis=1),
            gains.mean(axis=1),
            gains.std(axis=1),
            np.sqrt(np.square(np.diff(angles, axis=0)).mean(axis=1)),
        )
