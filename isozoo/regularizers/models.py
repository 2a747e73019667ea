"""The penalties of all convolutions of a model."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from isozoo.regularizers.orthogonal import OrthogonalConv
from isozoo.regularizers.penalty import orthogonality_penalty


def is_constrained(layer: keras.layers.Conv2D) -> bool:
    """Return whether the paper constrains a convolution: all but those on raw images.

    The convolutions of isozoo's networks know their role (`isometric`). Others are told by their
    kernels, as in the authors' code: it passes over 7x7 kernels and those on three channels.

    Args:
        layer: A built convolution.

    Example:
        >>> first, second = keras.layers.Conv2D(8, 3), keras.layers.Conv2D(8, 3)
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), first, second])
        >>> is_constrained(first), is_constrained(second)
        (False, True)
    """
    stated = getattr(layer, "isometric", None)
    if stated is not None:
        return stated
    height, width, channels = layer.kernel.shape[:3]
    return (height, width) != (7, 7) and channels > 3


def convolutions(model: keras.Model) -> list[keras.layers.Conv2D]:
    """Return the 2-D convolutions of a model, nested models included, in the order of layers.

    One that several nested models share is there once.
    """
    found: dict[int, keras.layers.Conv2D] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {id(each): each for each in convolutions(layer)}
        elif isinstance(layer, keras.layers.Conv2D):
            found[id(layer)] = layer
    return list(found.values())


def model_penalty(
    model: keras.Model,
    condition: str = "paper",
    method: str | None = None,
    seed: int | keras.random.SeedGenerator | None = None,
):
    """Return the total penalty of a model's convolutions, without any factor.

    It measures networks that were trained without the penalty too, and is 0 for an isometric
    network at its start.

    Args:
        model: Any built Keras model; convolutions that `is_constrained` refuses are left out.
        condition: See `orthogonality_penalty`.
        method: See `orthogonality_penalty`.
        seed: See `orthogonality_penalty`; kernels of one shape draw the same images from an
            integer, others from a `keras.random.SeedGenerator`.

    Returns:
        A scalar tensor; 0 if the model has no constrained convolution.

    Example:
        >>> inputs = keras.Input((8, 8, 4))
        >>> conv = keras.layers.Conv2D(4, 1, kernel_regularizer=OrthogonalConv(0.5))
        >>> model = keras.Model(inputs, conv(inputs))
        >>> abs(float(0.5 * model_penalty(model) - sum(model.losses))) < 1e-6
        True
    """
    return sum(
        (
            orthogonality_penalty(
                layer.kernel, layer.strides, condition, method, layer.groups, seed=seed
            )
            for layer in convolutions(model)
            if is_constrained(layer)
        ),
        start=ops.zeros(()),
    )


def set_penalty(
    model: keras.Model,
    method: str | None = None,
    probes: int | None = None,
    every: int = 1,
    seed: int | None = None,
) -> None:
    """Change how a model computes the penalties that it is trained with.

    Every `OrthogonalConv` keeps its factor, strides, groups and condition. The random states become
    the model's own, as `model.penalty_states`: they advance on every backend and are part of its
    `variables`, though, as those of dropout, not of its weights. In a clone of the model, or one
    that is saved and loaded, they start anew; convolutions of `isozoo.layers` hold them there, but
    Keras's own lose them, as `OrthogonalConv` says.

    Args:
        model: Any built Keras model that is not compiled: a step that was traced stays as it is.
        method: See `OrthogonalConv`.
        probes: See `OrthogonalConv`; each convolution draws images of its own.
        every: See `OrthogonalConv`; each convolution draws for itself whether a step computes its
            penalty, one in `every` of them on average. Losses of validation are estimates too.
        seed: Seed of all that is random; one at random if None.

    Raises:
        ValueError: The model is compiled or has no `OrthogonalConv`, its penalties have random
            states already, or an option means nothing, as with `OrthogonalConv`.

    Example:
        >>> inputs = keras.Input((8, 8, 4))
        >>> conv = keras.layers.Conv2D(4, 1, kernel_regularizer=OrthogonalConv(0.5))
        >>> model = keras.Model(inputs, conv(inputs))
        >>> set_penalty(model, method="probe", probes=4, seed=0)
        >>> conv.kernel_regularizer.method, len(model.variables), len(model.weights)
        ('probe', 3, 2)
    """
    if model.compiled:
        raise ValueError(
            f"model '{model.name}' is compiled, and steps that were traced would keep the penalty "
            "they have; set it before compile(), or load the model with compile=False"
        )
    layers = [
        layer
        for layer in convolutions(model)
        if isinstance(layer.kernel_regularizer, OrthogonalConv)
    ]
    if not layers:
        raise ValueError(
            f"model '{model.name}' has no OrthogonalConv whose method could be set; build it with "
            "a factor for the penalty, as isozoo's networks with orthogonality above 0"
        )
    if any(layer.kernel_regularizer.seed_generator for layer in layers):
        raise ValueError(
            f"the penalties of model '{model.name}' have random states already; build it anew to "
            "set them otherwise"
        )
    # Far apart: on PyTorch, Keras adds the number of the call to the seed.
    seeds = np.random.default_rng(seed).integers(2**30, size=len(layers))
    for layer, own_seed in zip(layers, seeds, strict=True):
        layer.kernel_regularizer = OrthogonalConv(
            **{
                **layer.kernel_regularizer.get_config(),
                "method": method,
                "probes": probes,
                "every": every,
                "seed": int(own_seed),
            }
        )
        layer.kernel.regularizer = layer.kernel_regularizer
    states = [layer.kernel_regularizer.seed_generator for layer in layers]
    model.penalty_states = [state for state in states if state is not None]
