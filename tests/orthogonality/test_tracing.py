"""In a graph, a penalty is traced once for all kernels of one shape."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from isozoo.orthogonality import METHODS
from isozoo.orthogonality.tracing import traced
from isozoo.regularizers import orthogonality_penalty

KERNELS = [((3, 3, 4, 6), 1), ((3, 3, 6, 4), 1), ((3, 3, 4, 6), 2), ((1, 1, 4, 6), 1)]


@pytest.fixture
def calls(monkeypatch):
    """How often each method is run in Python, by the shape it is run on."""
    counted: collections.Counter = collections.Counter()

    def counting(name, method):
        def call(kernel, strides):
            counted[name, tuple(kernel.shape), strides] += 1
            return method(kernel, strides)

        return call

    for name, method in METHODS.items():
        monkeypatch.setitem(METHODS, name, counting(name, method))
    traced.cache_clear()
    yield counted
    traced.cache_clear()


def penalties(kernels):
    with tf.GradientTape() as tape:
        tape.watch(kernels)
        total = sum(
            orthogonality_penalty(kernel, strides)
            for kernel, (_, strides) in zip(kernels, 3 * KERNELS, strict=True)
        )
    return total, tape.gradient(total, kernels)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_kernels_of_one_shape_share_a_trace(calls, jit_compile):
    rng = np.random.default_rng(0)
    kernels = [tf.constant(rng.normal(size=shape), "float32") for shape, _ in 3 * KERNELS]
    graph = tf.function(penalties, autograph=False, jit_compile=jit_compile)
    value, gradients = graph(kernels)
    # Kernels that differ only in which side has fewer channels are computed as one shape.
    assert dict(calls) == dict.fromkeys(calls, 1)
    assert len(calls) == 3

    expected, derivatives = penalties(kernels)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for found, wanted in zip(gradients, derivatives, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_outside_of_graphs_nothing_is_traced(calls):
    kernel = tf.ones((3, 3, 4, 6))
    for _ in range(2):
        orthogonality_penalty(kernel)
    assert set(calls.values()) == {2}
