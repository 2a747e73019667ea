"""The loss where none is given: of logits and of softmax alike, by every measure."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from isozoo.diagnostics import loss_and_gradients
from isozoo.diagnostics.isometry import measure_isometry
from isozoo.diagnostics.losses import default_loss
from isozoo.diagnostics.surface import LossSurface
from isozoo.errors import DiagnosticsError

LABELS = np.array([0, 1, 2, 1])


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


X = drawn(4, 6)


def network(*ends, dtype=None):
    """A dense layer and what it ends with, always with the same weights."""
    model = keras.Sequential([keras.Input((6,), dtype=dtype), layers.Dense(3, dtype=dtype), *ends])
    model.layers[0].kernel.assign(2 * drawn(6, 3, seed=1))
    return model


def direct():
    """The same with the activation in the dense layer."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])
    model.layers[0].kernel.assign(2 * drawn(6, 3, seed=1))
    return model


SOFTMAX = {
    "layer": lambda: network(layers.Softmax()),
    "dense": direct,
    "activation": lambda: network(layers.Activation("softmax")),
    "handed on": lambda: network(
        layers.Softmax(), layers.Dropout(0.5), layers.Activation("linear", dtype="float32")
    ),
    "operation": lambda: keras.Model((m := network()).inputs, ops.softmax(m.outputs[0])),
    "logarithms": lambda: network(layers.Activation("log_softmax")),
}


@pytest.mark.parametrize("ending", SOFTMAX)
def test_a_softmax_at_the_end_changes_neither_loss_nor_gradient(ending):
    plain, ended = network(), SOFTMAX[ending]()
    expected, slopes = loss_and_gradients(plain, X, LABELS)
    loss, found = loss_and_gradients(ended, X, LABELS)
    assert loss == pytest.approx(expected, rel=1e-5)
    for one, other in zip(found, slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    norms = [
        measure_isometry(model, X, LABELS).networks[0].gradients.norms[:2]
        for model in (plain, ended)
    ]
    assert norms[1][0] == pytest.approx(norms[0][0], rel=1e-4)


def test_a_tiny_probability_still_has_a_gradient():
    # Keras's loss of probabilities is constant below 1e-7.
    model = network(layers.Softmax())
    model.layers[0].kernel.assign(np.zeros((6, 3)))
    model.layers[0].bias.assign(np.array([30.0, 0.0, 0.0]))
    loss, (_, slope) = loss_and_gradients(model, X[:1], np.array([1]))
    assert loss == pytest.approx(30, rel=1e-5)
    np.testing.assert_allclose(slope, [1, -1, 0], atol=1e-5)


@pytest.mark.parametrize("ends", [(), (layers.Softmax,)])
def test_the_loss_has_the_precision_of_the_output(ends):
    model = network(*(end(dtype="float64") for end in ends), dtype="float64")
    images = X.astype("float64")
    lost = default_loss(model)(LABELS, model(images))
    assert keras.backend.standardize_dtype(lost.dtype) == "float64"
    logits = images @ ops.convert_to_numpy(model.layers[0].kernel).astype("float64")
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(chances[np.arange(4), LABELS])
    np.testing.assert_allclose(lost, expected, rtol=1e-12)
    surface = LossSurface(model, images, LABELS)
    assert surface.loss(surface.values()) == pytest.approx(expected.mean(), rel=1e-12)


def test_shares_of_classes_are_labels_too():
    shares = np.array([[0.5, 0.5, 0.0]] * 4, "float32")
    losses = [loss_and_gradients(m, X, shares)[0] for m in (network(), network(layers.Softmax()))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def two_outputs():
    x = keras.Input((6,))
    return keras.Model(x, [layers.Dense(2)(x), layers.Dense(3)(x)], name="pair")


REFUSED = {
    "two outputs": (two_outputs, "pair returns (None, 2), (None, 3)"),
    "a map": (
        lambda: keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2D(3, 1)], name="maps"),
        "maps returns (None, 4, 4, 3)",
    ),
    "sigmoid": (lambda: network(layers.Activation("sigmoid")), "(None, 3) after sigmoid"),
    "one number": (lambda: keras.Sequential([keras.Input((6,)), layers.Dense(1)]), "(None, 1)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_classes_needs_a_loss(case):
    build, said = REFUSED[case]
    model = build()
    images = np.zeros((2, *model.inputs[0].shape[1:]))
    for measure in (measure_isometry, loss_and_gradients):
        with pytest.raises(DiagnosticsError, match=r"not logits or a softmax.*loss=") as error:
            measure(model, images, np.array([0, 1]))
        assert said in str(error.value)


def test_several_outputs_and_maps_are_measured_with_a_loss():
    def squares(labels, found):
        return sum(ops.sum(ops.square(part), axis=1) for part in found)

    (found,) = measure_isometry(two_outputs(), X, LABELS, loss=squares).networks
    assert np.isfinite(found.gradients.norms).all()
    assert found.gradients.norms[0] > 0
    maps = REFUSED["a map"][0]()
    images = drawn(4, 4, 4, 2)
    (found,) = measure_isometry(maps, images, LABELS, loss=lambda labels, y: ops.square(y)).networks
    expected = 2 * np.linalg.norm(ops.convert_to_numpy(maps(images)).reshape(4, -1), axis=1)
    assert found.gradients.norms[-1] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-5)
