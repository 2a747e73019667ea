"""Derivatives: as differences give them, transposes of each other, and without a trace."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from isozoo import Classifier, architecture
from isozoo.diagnostics import loss_and_gradients, value_and_jvp, value_and_vjp
from isozoo.diagnostics.gradients import BACKENDS
from isozoo.errors import DiagnosticsError
from isozoo.regularizers import model_penalty


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def values(model):
    return [np.array(ops.convert_to_numpy(v)) for v in model.variables]


@pytest.fixture(scope="module")
def network():
    """A network with running statistics, dropout, a penalty and SReLUs off their kink."""
    net = architecture("r-isonet-8", classes=3, normalization="batch", dropout=0.5)
    model = Classifier(net.replace(width=4, orthogonality=0.1))
    for variable in model.trainable_variables:
        variable.assign(ops.convert_to_numpy(variable) + 0.1 * drawn(3, *variable.shape))
    return model


X, LABELS = drawn(0, 4, 8, 8, 3), np.array([0, 2, 1, 1])


def test_gradients_are_slopes_of_the_loss(network):
    loss, gradients = loss_and_gradients(network, X, LABELS)
    logits = network(X, training=False)
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
    assert loss == pytest.approx(float(ops.mean(expected)), rel=1e-6)
    by_path = dict(zip((v.path for v in network.trainable_variables), gradients, strict=True))
    # What the optimiser is given: a residual scale's gradient has its learning rate in it.
    for path, factor in (("stem_conv/kernel", 1), ("s2_b1_f_shared_scalar/scale", 0.1)):
        (variable,) = (v for v in network.trainable_variables if v.path == path)
        before, size = ops.convert_to_numpy(variable), np.linalg.norm(by_path[path])
        sides = []
        for sign in (1, -1):
            variable.assign(before + sign * 1e-2 * by_path[path] / size)
            logits = network(X, training=False)
            lost = keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
            sides.append(float(ops.mean(lost)))
        variable.assign(before)
        assert (sides[0] - sides[1]) / 2e-2 == pytest.approx(size / factor, rel=0.05), path


def test_penalties_count_if_asked_for(network):
    plain, slopes = loss_and_gradients(network, X, LABELS)
    loss, gradients = loss_and_gradients(network, X, LABELS, penalties=True)
    assert loss - plain == pytest.approx(0.1 * float(model_penalty(network)), rel=1e-5)
    changed = [np.abs(a - b).max() > 1e-6 for a, b in zip(slopes, gradients, strict=True)]
    paths = [v.path for v, c in zip(network.trainable_variables, changed, strict=True) if c]
    assert paths
    assert all(path.endswith("kernel") for path in paths)


def test_training_mode_leaves_no_trace(network):
    before = values(network)
    first = loss_and_gradients(network, X, LABELS, training=True)
    again = loss_and_gradients(network, X, LABELS, training=True)
    assert first[0] == again[0] != loss_and_gradients(network, X, LABELS)[0]
    np.testing.assert_equal(values(network), before)


def test_any_loss_is_averaged(network):
    def squares(labels, logits):
        return ops.square(logits[:, 0] - ops.cast(labels, logits.dtype))

    loss, _ = loss_and_gradients(network, X, LABELS, loss=squares)
    logits = ops.convert_to_numpy(network(X, training=False))
    assert loss == pytest.approx(np.mean((logits[:, 0] - LABELS) ** 2), rel=1e-5)


def test_what_the_loss_does_not_depend_on_has_a_gradient_of_zeros():
    x = keras.Input((2,))
    side = layers.Dense(3, name="side")
    model = keras.Model(x, layers.Dense(2)(x) + 0 * side(x)[:, :2])
    _, gradients = loss_and_gradients(
        model, drawn(0, 4, 2), LABELS, loss=lambda labels, y: ops.ones_like(y)
    )
    assert [g.shape for g in gradients] == [tuple(v.shape) for v in model.trainable_variables]
    assert not any(g.any() for g in gradients)


def test_along_and_against_a_direction_are_transposes(network):
    along, against = drawn(1, *X.shape), drawn(2, 4, 3)
    value, slope = value_and_jvp(network, [X], [along])
    again, pullback = value_and_vjp(network, [X])
    np.testing.assert_allclose(value, again, atol=1e-6)
    (pulled,) = pullback(against)
    left = np.sum(ops.convert_to_numpy(slope) * against, dtype="float64")
    right = np.sum(ops.convert_to_numpy(pulled) * along, dtype="float64")
    assert left == pytest.approx(right, rel=1e-4)
    step = 1e-2
    ends = [ops.convert_to_numpy(network(X + sign * step * along)) for sign in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=0.1, atol=2e-2)


def test_a_pullback_is_used_more_than_once():
    _, pullback = value_and_vjp(lambda x, y: x * y + 0 * y, [np.float64(3), np.float64(5)])
    assert [[float(s) for s in pullback(v)] for v in (1.0, 2.0)] == [[5, 3], [10, 6]]


def test_a_backend_without_gradients_is_named(network, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    with pytest.raises(DiagnosticsError, match=r"openvino.*tensorflow, jax, torch"):
        loss_and_gradients(network, X, LABELS)


def test_every_backend_has_a_module(root):
    folder = root / "isozoo/diagnostics/gradients"
    assert {path.stem for path in folder.glob("on_*.py")} == {f"on_{name}" for name in BACKENDS}
