"""Labatie's simulations: random networks of equal layers, propagated layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.propagation.kernels import Place, draw
from isozoo.diagnostics.propagation.kinds import NORMALIZATIONS, Kind, kind_named
from isozoo.diagnostics.propagation.moments import MEASURED, Scaled, measured
from isozoo.diagnostics.propagation.result import Propagation, assembled
from isozoo.diagnostics.propagation.steps import (
    BOUNDARIES,
    STEPS,
    Carried,
    Setting,
    addition,
    convolution,
)
from isozoo.diagnostics.showing import track
from isozoo.errors import DataError, unknown

Kernels = Callable[[int, int], keras.KerasTensor]


def propagate(
    kind: Kind,
    carried: Carried,
    kernels: Kernels,
    *,
    depth: int,
    setting: Setting,
    every: int = 1,
    ranked: Sequence[str] | None = None,
) -> Iterator[np.ndarray]:
    """Carry signal and noise through the units of a network, and yield what is measured.

    Args:
        kind: The network.
        carried: What its first unit receives.
        kernels: The kernel of a unit and of a layer of it, both counted from 1.
        depth: Number of units.
        setting: What the steps have in common.
        every: Units from one that is measured to the next; the last is always measured.
        ranked: Locations whose effective ranks are computed; those of the kind if None.

    Yields:
        Of every measured unit the numbers `(locations, moments)`, in the order of `MEASURED`.
    """
    wanted = kind.ranked if ranked is None else ranked
    for unit in range(1, depth + 1):
        taken: dict[str, np.ndarray] = {}
        now = unit % every == 0 or unit == depth

        def take(place: str, carried: Carried, measure: bool = now, into=taken):
            if measure and place not in into:
                into[place] = measured(*carried, ranked=place in wanted)

        carried = skip = carried.rescaled()
        take("input", carried)
        for layer, steps in enumerate(kind.branch, 1):
            for step in steps:
                carried = STEPS[step](
                    carried, kind, setting, lambda unit=unit, layer=layer: kernels(unit, layer)
                )
                if layer == 1:
                    take(step, carried)
            carried = carried.rescaled()
        if kind.shortcut:
            carried = addition(skip, carried, kind.branch_scale)
            take("sum", carried)
        for step in kind.after:
            carried = STEPS[step](carried, kind, setting, lambda: None)
            take(f"{step} after sum", carried)
        if taken:
            yield np.stack([taken[place] for place in kind.locations])


class Size(NamedTuple):
    """The size of a simulated network and of what it sees.

    Args:
        width: Channels.
        depth: Layers, or residual units.
        batch: Images of a simulation.
        kernel_size: Side of the kernels; 1 makes a fully-connected network of flattened images.
        points: Depths that are measured, at most.
    """

    width: int
    depth: int
    batch: int
    kernel_size: int
    points: int

    @property
    def every(self) -> int:
        """Units from one that is measured to the next."""
        return -(-self.depth // self.points)

    @property
    def depths(self) -> np.ndarray:
        """The measured depths; the last is always one."""
        found = np.arange(self.every, self.depth + 1, self.every)
        return found if found[-1] == self.depth else np.append(found, self.depth)

    def shape(self, inputs: int) -> tuple[int, int, int, int]:
        """Return the shape of a kernel of so many input channels."""
        return (self.kernel_size, self.kernel_size, inputs, self.width)


def simulate(
    kind: str | Kind,
    images: np.ndarray | None = None,
    *,
    width: int = 128,
    depth: int = 200,
    batch: int = 64,
    kernel_size: int = 3,
    boundary: str = "periodic",
    simulations: int = 10,
    points: int = 100,
    epsilon: float = 1e-3,
    differentiated: bool = False,
    seed: int = 0,
    dtype: str = "float32",
) -> Propagation:
    r"""Measure how signal and noise propagate through random networks of one kind.

    In each simulation, images are drawn and standardised per channel, noise $\mathrm{d}x^0$ is
    drawn from a normal distribution of variance 1, and all weights are drawn anew. A first
    convolution of stride 2 brings both to the network's width. Measured are the moments, the
    effective ranks, and

    $$\chi^l = \sqrt{\frac{\mu_2(\mathrm{d}x^l)}{\mu_2(x^l)}}$$

    Only the sums of a layer are kept, so memory does not grow with depth.

    Args:
        kind: Row of `isozoo.diagnostics.propagation.kinds.KINDS`, or a kind of your own.
        images: `(images, height, width, channels)` with values of any range; normal noise
            `(batch, 32, 32, 3)`, drawn anew in each simulation, if None.
        width: Channels of the network.
        depth: Layers, or residual units.
        batch: Images of each simulation.
        kernel_size: Side of the kernels. 1 makes a fully-connected network on flattened images.
        boundary: `"periodic"` (with all wrapped rows and columns on one side, as in the
            original), `"symmetric"` or `"zero"`.
        simulations: How many.
        points: Depths that are measured, at most.
        epsilon: Added to the variances of normalisations.
        differentiated: Whether noise changes the statistics of normalisations too. In the
            original, and by default, they are constants.
        seed: Of all that is drawn. The n-th simulation is the same whatever `simulations` is.
        dtype: `"float32"` or `"float64"`.

    Returns:
        Curves over depth, fits, findings.

    Raises:
        UnknownNameError: There is no such kind or boundary.
        ValueError: A number is out of range, or the backend does not compute in `dtype`.
        DataError: There are fewer images than a batch, or they have another rank.

    Reference:
        Labatie, "Characterizing Well-Behaved vs. Pathological Deep Neural Networks", ICML 2019.

    Example:
        >>> found = simulate("vanilla", width=8, depth=6, batch=4, simulations=2)
        >>> found.curve("chi").mean.shape, found.verdict
        ((6,), 'well-behaved')
    """
    row = kind_named(kind) if isinstance(kind, str) else kind
    size = Size(width, depth, batch, kernel_size, points)
    _check(row, size, boundary, simulations, images)
    setting = Setting(boundary, epsilon, differentiated)

    def units() -> Iterator[np.ndarray]:
        for number in range(simulations):
            rng = np.random.default_rng([seed, number])
            yield from _one(row, size, setting, images, rng, dtype)

    total = simulations * len(size.depths)
    raw = np.stack(list(track(units(), f"{row.title}, {simulations} simulations", total)))
    shape = (simulations, len(size.depths), len(row.locations), len(MEASURED))
    note = {
        **size._asdict(),
        **setting._asdict(),
        "kind": row.name,
        "simulations": simulations,
        "images": "noise" if images is None else "given",
        "seed": seed,
        "dtype": dtype,
    }
    # The theory's power law is that of normalised residual networks.
    theory = row.shortcut and not row.after and row.normalization != "none"
    branch = (row.branch[0][-1], len(row.branch)) if theory else None
    return assembled(row.title, note, raw.reshape(shape), size.depths, row.locations, branch=branch)


def _one(
    kind: Kind,
    size: Size,
    setting: Setting,
    images: np.ndarray | None,
    rng: np.random.Generator,
    dtype: str,
) -> Iterator[np.ndarray]:
    """Run one simulation."""
    signal = standardized(_pictures(images, size, rng))
    noise = rng.standard_normal(signal.shape)
    first = 0 if size.kernel_size == 1 else 1

    def kernel(unit: int, layer: int, inputs: int = size.width):
        place = Place(unit, layer, len(kind.branch), size.depth, size.shape(inputs))
        return tensor(draw(rng, place, dtype, kind.kernel), dtype)

    carried = Carried(Scaled(tensor(signal, dtype)), Scaled(tensor(noise, dtype)))
    carried = convolution(
        carried, kernel(0, 1, signal.shape[-1]), setting.boundary, stride=1 + first
    )
    return propagate(kind, carried, kernel, depth=size.depth, setting=setting, every=size.every)


def _pictures(images: np.ndarray | None, size: Size, rng: np.random.Generator) -> np.ndarray:
    if images is None:
        chosen = rng.standard_normal((size.batch, 32, 32, 3))
    else:
        chosen = np.asarray(images)[rng.permutation(len(images))[: size.batch]].astype("float64")
    return chosen.reshape(size.batch, 1, 1, -1) if size.kernel_size == 1 else chosen


def standardized(images: np.ndarray) -> np.ndarray:
    """Return images `(..., channels)` with mean 0 and deviation 1 of each channel.

    A channel that is the same everywhere becomes 0.
    """
    axes = tuple(range(images.ndim - 1))
    deviation = images.std(axis=axes)
    return (images - images.mean(axis=axes)) / np.where(deviation > 0, deviation, 1.0)


def tensor(values: np.ndarray, dtype: str):
    """Return an array as a tensor of a dtype.

    Raises:
        ValueError: The backend computes in another.
    """
    # JAX asked for float64 it does not have warns, and gives float32.
    given = ops.cast(ops.convert_to_tensor(np.asarray(values, dtype)), dtype)
    if keras.backend.standardize_dtype(given.dtype) != dtype:
        raise ValueError(
            f"asked for {dtype}, but {keras.backend.backend()} computes in {given.dtype}; ask for "
            "float32, or enable 64 bits (JAX_ENABLE_X64=1 for JAX)"
        )
    return given


def _check(
    kind: Kind, size: Size, boundary: str, simulations: int, images: np.ndarray | None
) -> None:
    if boundary not in BOUNDARIES:
        raise unknown("boundary", boundary, BOUNDARIES)
    for name, value in {**size._asdict(), "simulations": simulations}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if boundary == "symmetric" and size.kernel_size % 2 == 0:
        raise ValueError(f"a symmetric boundary needs an odd kernel size, got {size.kernel_size}")
    parts = NORMALIZATIONS.get(kind.normalization, ())
    if size.kernel_size == 1 and any(not p.over_batch and p.groups == -1 for p in parts):
        raise ValueError(
            f"{kind.name} normalises each channel of an image over its positions, of which a "
            "fully-connected network has one; ask for a kernel size above 1"
        )
    if images is not None and (np.ndim(images) != 4 or len(images) < size.batch):
        raise DataError(
            f"asked to draw {size.batch} images (images, height, width, channels), got an array "
            f"of shape {np.shape(images)}"
        )


def simulation_cost(
    kind: str | Kind,
    image_size: int = 32,
    *,
    width: int = 128,
    depth: int = 200,
    batch: int = 64,
    kernel_size: int = 3,
    simulations: int = 10,
) -> Cost:
    """Return what `simulate` with these arguments costs.

    A pass is that of a batch through the whole network: one of signal and one of noise in each
    simulation.

    Example:
        >>> print(simulation_cost("vanilla", width=128, simulations=5))
        vanilla, 200 layers, 484 thousand million multiply-adds a pass: 10 passes of 64 images,
        about 48.6 MiB beyond the model
    """
    row = kind_named(kind) if isinstance(kind, str) else kind
    layers = depth * sum("convolution" in steps for steps in row.branch)
    positions = 1 if kernel_size == 1 else (image_size // 2) ** 2
    rows, taps = batch * positions, kernel_size**2 * width
    # Signal and noise, of a step's input, output and one copy, and of a shortcut; one kernel.
    tensors = 2 * (3 + row.shortcut) * rows * width + taps * width
    work = layers * rows * taps * width
    return Cost(
        f"{row.title}, {layers} layers, {math.ceil(work / 1e9)} thousand million multiply-adds a "
        "pass",
        passes=2 * simulations,
        batch=batch,
        bytes=4 * tensors,
    )
