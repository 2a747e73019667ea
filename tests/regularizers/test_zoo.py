"""Every kernel of the zoo: all methods give one penalty and one gradient, at any precision."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from isozoo.layers import Conv2D
from isozoo.models import architecture
from isozoo.models.architecture import Architecture, architecture_names
from isozoo.models.backbone import Backbone
from isozoo.orthogonality import fastest
from isozoo.regularizers import (
    METHODS,
    OrthogonalConv,
    convolutions,
    is_constrained,
    orthogonality_penalty,
)
from tests.harness import gradients, numpy

#: Channels of the networks that are built: all others have the same kernels, some times as wide.
NARROW = 2


@functools.cache
def narrow_kernels(narrow: Architecture) -> set[tuple]:
    """The kernel size, channels, strides and groups of each constrained convolution."""
    found = [layer for layer in convolutions(Backbone(narrow)) if is_constrained(layer)]
    return {(tuple(layer.kernel.shape), tuple(layer.strides), layer.groups) for layer in found}


@functools.cache
def zoo_kernels() -> list[tuple]:
    """Every shape, strides and groups of a kernel that a network of the zoo is penalised for."""
    found = set()
    for network in map(architecture, architecture_names()):
        if network.orthogonality:
            # The blocks after a stage's second are like it.
            blocks = tuple(min(count, 2) for count in network.blocks)
            narrow = dataclasses.replace(network, width=NARROW, blocks=blocks, depth=1)
            wider = network.width // NARROW
            for (height, width, inputs, filters), strides, groups in narrow_kernels(narrow):
                shape = (height, width, wider * inputs, wider * filters)
                found.add((shape, strides, groups))
    return sorted(found)


#: Kernels of more weights take seconds by the slower methods.
LARGE = 2**20


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    scale = np.sqrt(np.prod(shape[:2]) * max(shape[2:]))
    return (np.random.default_rng(0).normal(size=shape) / scale).astype("float32")


def test_the_networks_that_are_built_stand_for_the_zoo():
    whole = Backbone(architecture("r-isonet-20"))
    found = [layer for layer in convolutions(whole) if is_constrained(layer)]
    kernels = {(tuple(layer.kernel.shape), tuple(layer.strides), layer.groups) for layer in found}
    assert kernels <= set(zoo_kernels())
    assert ((3, 3, 512, 512), (2, 2), 1) in zoo_kernels()
    assert ((1, 1, 2048, 512), (1, 1), 1) in zoo_kernels()
    assert len(zoo_kernels()) == 38


@pytest.mark.parametrize("large", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_all_methods_agree(large):
    kernels = [row for row in zoo_kernels() if (np.prod(row[0]) > LARGE) == large]
    assert kernels
    for shape, strides, groups in kernels:
        check_methods(shape, strides, groups)


def check_methods(shape, strides, groups):
    kernel = drawn(shape)

    def penalty(kernel, method):
        return orthogonality_penalty(kernel, strides, method=method, groups=groups)

    best = fastest(shape[:2], strides)
    (expected,) = gradients(lambda kernel: penalty(kernel, best), kernel)
    value = float(penalty(kernel, best))
    for method in METHODS.keys() - {best}:
        np.testing.assert_allclose(float(penalty(kernel, method)), value, rtol=1e-5)
        (found,) = gradients(lambda kernel, method=method: penalty(kernel, method), kernel)
        away = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert away < 1e-5, (shape, strides, method)


@pytest.mark.parametrize("large", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_penalty_of_every_kernel_stays_float32(policy, large):
    for shape, strides, groups in zoo_kernels():
        if (np.prod(shape) > LARGE) != large:
            continue
        kernel = drawn(shape)
        layer = Conv2D(
            shape[3],
            shape[:2],
            strides=strides,
            groups=groups,
            dtype=policy,
            kernel_initializer=keras.initializers.Zeros(),
            kernel_regularizer=OrthogonalConv(1.0, strides, groups=groups),
        )
        layer.build((None, 8, 8, shape[2] * groups))
        layer.kernel.assign(kernel)
        assert layer.compute_dtype == policy.removeprefix("mixed_")
        (loss,) = layer.losses
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        assert float(loss) == float(orthogonality_penalty(kernel, strides, groups=groups))


@pytest.mark.parametrize(
    "method", [None, *(pytest.param(m, marks=pytest.mark.slow) for m in METHODS)]
)
def test_xla_gives_the_same(method):
    sizes = sorted({(shape[:2], strides) for shape, strides, _ in zoo_kernels()})
    kernels = [tf.constant(drawn((*size, 6, 8))) for size, _ in sizes]

    def compute(*kernels):
        with tf.GradientTape() as tape:
            tape.watch(kernels)
            penalties = [
                orthogonality_penalty(kernel, strides, method=method)
                for kernel, (_, strides) in zip(kernels, sizes, strict=True)
            ]
        return penalties, tape.gradient(penalties, kernels)

    for one, other in zip(
        tf.nest.flatten(tf.function(compute, jit_compile=True)(*kernels)),
        tf.nest.flatten(compute(*kernels)),
        strict=True,
    ):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-6)
