"""The propagation of signal and noise through a Keras model, on data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.floors import activation_of, channel_axis
from isozoo.diagnostics.gradients import without_gradients
from isozoo.diagnostics.propagation.moments import Scaled, measured
from isozoo.diagnostics.propagation.noise import noise_after
from isozoo.diagnostics.propagation.result import Propagation, assembled
from isozoo.diagnostics.showing import track
from isozoo.diagnostics.taps import Graph, Slot, Step, graph, stream
from isozoo.errors import DataError, DiagnosticsError

LOCATIONS = ("input", "output")


def is_activation(step: Step) -> bool:
    """Return whether a step is an activation of hidden units, or a layer that ends in one."""
    found = activation_of(step)
    return found is not None and not found.mixes


def model_propagation(
    model: keras.Model,
    images: np.ndarray,
    *,
    batch: int | None = None,
    repeats: int = 3,
    names: Sequence[str] | None = None,
    training: bool = False,
    seed: int = 0,
    label: str | None = None,
) -> Propagation:
    r"""Measure how the signal of a model, and a small noise on its images, propagate.

    $$\chi^l = \sqrt{\frac{\mu_2(\mathrm{d}x^l)}{\mu_2(x^l)}}, \qquad \chi^0 = 1$$

    The noise $\mathrm{d}x^l$ is the derivative of the network up to step $l$ along a random
    direction, found step by step beside the signal (see `isozoo.diagnostics.propagation.noise`).
    Statistics of normalisations are constants: the running ones, or with `training=True` those of
    the batch. Each step's tensors are dropped after their last use.

    Args:
        model: A functional or sequential model, trained or not.
        images: Preprocessed images `(images, height, width, channels)`.
        batch: Images of each repeat; all if None.
        repeats: How often images are chosen and noise is drawn, for the spread.
        names: Steps whose outputs are measured, see `isozoo.diagnostics.steps`; all activations
            if None.
        training: Whether in training mode, which an untrained network with batch normalisation
            needs: its running statistics are not yet those of any data. Dropout drops, then. The
            model is as before afterwards.
        seed: Of the choice of images and of the noise.
        label: What the model is called in tables and pictures, if not its name.

    Returns:
        Curves over the number of the activation. `delta_chi` is the ratio to the one before.

    Raises:
        DiagnosticsError: The model has no graph or no activation, or a layer has neither a rule
            nor a derivative; it is named.
        UnknownNameError: There is no step of a name.
        DataError: There are fewer images than a batch.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2))
        >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
        >>> found = model_propagation(model, images, repeats=1)
        >>> found.names[0], len(found.depths), found.verdict
        ('backbone/stem_relu', 7, 'well-behaved')
    """
    walked = graph(model)
    chosen = _steps(walked, names)
    size = len(images) if batch is None else batch
    if not 1 <= size <= len(images) or repeats < 1:
        raise DataError(
            f"asked for {repeats} repeats of {size} images, got {len(images)} images; both must "
            "be at least 1, and there must be images enough"
        )
    axis = channel_axis(walked)

    def units() -> Iterator[np.ndarray]:
        for number in range(repeats):
            rng = np.random.default_rng([seed, number])
            part = np.asarray(images)[rng.permutation(len(images))[:size]]
            yield from _one(walked, part, rng, chosen, training, axis)

    total = repeats * (len(chosen) + 1)
    found = np.stack(list(track(units(), f"propagation of {model.name}", total)))
    found = found.reshape(repeats, len(chosen) + 1, -1)
    # The input of an activation's unit is the output of the unit before.
    raw = np.stack([found[:, :-1], found[:, 1:]], axis=2)
    setting = {"batch": size, "repeats": repeats, "training": training, "seed": seed}
    depths = np.arange(1, len(chosen) + 1)
    return assembled(label or model.name, setting, raw, depths, LOCATIONS, names=tuple(chosen))


def _steps(walked: Graph, names: Sequence[str] | None) -> list[str]:
    if names is not None:
        asked = {walked.step(name).name for name in names}
        return [step.name for step in walked.steps if step.name in asked]
    found = [step.name for step in walked.steps if is_activation(step)]
    if not found:
        kinds = ", ".join(sorted({step.kind for step in walked.steps}))
        raise DiagnosticsError(
            f"{walked.name} has no activation that is known; it has {kinds}; name the steps to be "
            "measured"
        )
    return found


def _one(
    walked: Graph,
    images: np.ndarray,
    rng: np.random.Generator,
    names: Sequence[str],
    training: bool,
    axis: int,
) -> Iterator[np.ndarray]:
    """Yield the moments of the images, then of each named step."""
    dtype = keras.backend.standardize_dtype(walked.inputs[0].dtype)
    signal = ops.convert_to_tensor(images, dtype=dtype)
    noise = ops.convert_to_tensor(
        rng.standard_normal(images.shape) * _deviation(images, axis), dtype
    )
    yield measured(Scaled(signal), Scaled(noise), axis=axis)
    noises = {number: Scaled(noise) for number in walked.sources}
    wanted, lives = set(names), iter(walked.lives())
    for step, inputs, output in stream(walked, images, training=training):
        numbers = tuple(dict.fromkeys(step.inputs))
        signals = dict(zip(step.inputs, inputs, strict=True))
        # The noises of several inputs in the same units.
        exponent = max((noises[number].exponent for number in numbers), default=0)
        with without_gradients():
            tensors = [noises[number].at(exponent) for number in numbers]
            taken = [signals[number] for number in numbers]
            after = noise_after(step, taken, tensors, training, output)
            # Near 1 at every step: between those that are measured, too, it could vanish.
            noises[step.outputs[0]] = Scaled(after, exponent).rescaled()
        if step.name in wanted:
            here = axis if len(output.shape) > 2 else -1
            yield measured(Scaled(output), noises[step.outputs[0]], axis=here)
            wanted.discard(step.name)
        if not wanted:
            return
        for number in next(lives):
            noises.pop(number, None)


def _deviation(images: np.ndarray, axis: int) -> float:
    """Return the root of mu2 of images, so that chi starts at 1."""
    others = tuple(i for i in range(images.ndim) if i != axis % images.ndim)
    return math.sqrt(images.var(axis=others).mean()) or 1.0


def propagation_cost(model: keras.Model, images: np.ndarray, repeats: int = 3) -> Cost:
    """Return what `model_propagation` of all images at once costs.

    A pass is one through the model, of the signal, of the noise, or for what is affine of zeros.

    Args:
        model: The model.
        images: What it is measured on.
        repeats: As there.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2))
        >>> print(propagation_cost(model, np.zeros((8, 32, 32, 3)), repeats=1))
        signal and noise through 27 steps of classifier: 2 passes of 8 images, about ... MiB ...
    """
    walked = graph(model)
    symbols: dict[int, Any] = {
        number: keras.KerasTensor(np.shape(images), symbol.dtype)
        for number, symbol in zip(walked.sources, walked.inputs, strict=True)
    }
    most = 0
    for step, ends in zip(walked.steps, walked.lives(), strict=True):
        symbols |= dict(zip(step.outputs, _made(step, symbols), strict=True))
        live = sum(map(_values_of, symbols.values()))
        # What is measured is centred and squared beside it.
        most = max(most, live + 2 * _values_of(symbols[step.outputs[0]]))
        for number in ends:
            del symbols[number]
    return Cost(
        f"signal and noise through {len(walked.steps)} steps of {model.name}",
        passes=2 * repeats,
        batch=len(images),
        bytes=2 * 4 * most,
    )


def _made(step: Step, symbols: dict[int, Any]) -> list[Any]:
    """Return the symbols of what a step makes."""
    args, kwargs = tree.map_structure(
        lambda leaf: symbols[leaf.number] if isinstance(leaf, Slot) else leaf,
        step.arguments,
        none_is_leaf=True,
    )
    return tree.flatten(step.operation.compute_output_spec(*args, **kwargs))


def _values_of(symbol: Any) -> int:
    return math.prod(side or 1 for side in symbol.shape)
