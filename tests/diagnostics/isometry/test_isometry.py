"""Norms, angles and Jacobians of networks that are isometries, and of some that are not."""

import dataclasses
import tracemalloc

import keras
import numpy as np
import pytest
from keras import layers, ops

from isozoo import Classifier, architecture
from isozoo.diagnostics import loss_and_gradients
from isozoo.diagnostics.cost import Cost
from isozoo.diagnostics.isometry import (
    Isometry,
    Jacobian,
    isometry_cost,
    jacobian_cost,
    measure_isometry,
    measure_jacobian,
)
from isozoo.diagnostics.isometry.flow import cuts
from isozoo.diagnostics.measures import MEASURES
from isozoo.diagnostics.subject import Subject
from isozoo.diagnostics.taps import graph
from isozoo.errors import DataError, DiagnosticsError


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def rotations(factor=1.0):
    """A network of rotations of the channels, the second with a factor, and a head."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 6)),
            layers.Conv2D(6, 1, use_bias=False, name="a"),
            layers.Conv2D(6, 1, use_bias=False, name="b"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="head"),
        ],
        name="rotations",
    )
    for seed, (name, gain) in enumerate((("a", 1.0), ("b", factor))):
        rotation = np.linalg.qr(drawn(6, 6, seed=seed).astype("float64"))[0]
        model.get_layer(name).set_weights([gain * rotation[None, None]])
    return model


X, LABELS = drawn(4, 4, 4, 6), np.array([0, 1, 2, 1])


def test_rotations_keep_norms_and_angles_both_ways():
    (found,) = measure_isometry(rotations(), X, LABELS).networks
    assert found.cuts == ("input", "a", "b", "flat", "head")
    for flow in (found.signals, found.gradients):
        np.testing.assert_allclose(flow.gains[:3], 1, atol=1e-6)
        np.testing.assert_allclose(flow.spread[:3], 0, atol=1e-6)
        np.testing.assert_allclose(flow.turns[:3], 0, atol=1e-3)
        assert flow.turns[3] > 1
    norms = np.linalg.norm(X.reshape(4, -1), axis=1)
    assert found.signals.norms[0] == pytest.approx(np.sqrt(np.mean(norms**2)), rel=1e-6)
    sides = X.reshape(4, -1) / norms[:, None]
    angles = np.degrees(np.arccos((sides * np.roll(sides, -1, axis=0)).sum(axis=1)))
    assert found.signals.angles[0] == pytest.approx(angles.mean(), rel=1e-5)


def test_a_factor_is_a_gain_both_ways_and_turns_nothing():
    (found,) = measure_isometry(rotations(3.0), X, LABELS).networks
    for flow in (found.signals, found.gradients):
        np.testing.assert_allclose(flow.gains[:3], [1, 3, 1], rtol=1e-5)
        np.testing.assert_allclose(flow.turns[:3], 0, atol=1e-3)


def test_gradients_are_those_of_the_loss():
    model = rotations()
    head = model.get_layer("head")
    (found,) = measure_isometry(model, X, LABELS).networks
    slopes = ops.convert_to_numpy(ops.softmax(model(X))) - np.eye(3)[LABELS]
    expected = np.linalg.norm(slopes, axis=1)
    assert found.gradients.norms[-1] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-5)
    expected = np.linalg.norm(slopes @ head.get_weights()[0].T, axis=1)
    assert found.gradients.norms[-2] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-5)


def test_a_block_is_cut_where_nothing_passes_it():
    names = [step.name for step in cuts(graph(Classifier(architecture("r-isonet-8", classes=2))))]
    assert names[:3] == ["backbone/stem_conv", "backbone/stem_relu", "backbone/s1_b1_add"]
    assert not any("_f_" in name for name in names)
    assert names[-1] == "head/head_fc"


def test_signals_that_die_have_no_angles_and_no_gains():
    model = rotations(0.0)
    (found,) = measure_isometry(model, X, LABELS).networks
    assert found.signals.gains[1] == 0
    assert np.isnan(found.signals.gains[2])
    assert np.isnan(found.signals.angles[2])
    read = Isometry.from_json(measure_isometry(model, X, LABELS).to_json())
    np.testing.assert_equal(dataclasses.asdict(read.networks[0]), dataclasses.asdict(found))


def test_before_and_after_stand_side_by_side(tmp_path):
    before = measure_isometry(rotations(), X, LABELS, label="before")
    both = before.beside(measure_isometry(rotations(2.0), X, LABELS, label="after"))
    assert both.model == "before, after"
    assert both.table().row_count == 8
    assert all(path.exists() for path in both.save(tmp_path))
    assert [n.label for n in Isometry.read(tmp_path / "isometry.json").networks] == [
        "before",
        "after",
    ]


def test_one_image_has_no_angle():
    with pytest.raises(DataError, match="at least two images, got 1"):
        measure_isometry(rotations(), X[:1], LABELS[:1])


def test_the_jacobian_is_that_of_the_dense_operator(tmp_path):
    model = Classifier(architecture("isonet-8", classes=3, width=4))
    for variable in model.trainable_variables:
        variable.assign(ops.convert_to_numpy(variable) + 0.2 * drawn(*variable.shape, seed=3))
    image = drawn(1, 8, 8, 3)
    found = measure_jacobian(model, image, count=4)
    (network,) = found.networks
    assert (network.output, network.shape) == ("backbone/s3_b1_relu", (2 * 2 * 16, 192))
    assert not network.exact
    # Of the piecewise linear network differences are exact, unless they cross a kink.
    step = 1e-3
    eye = np.eye(192, dtype="float32").reshape(192, 8, 8, 3)
    ends = [
        ops.convert_to_numpy(model.backbone(image + sign * step * eye)).astype("float64")
        for sign in (1, -1)
    ]
    dense = ((ends[0] - ends[1]) / (2 * step)).reshape(192, -1)
    true = np.linalg.svd(dense, compute_uv=False)
    np.testing.assert_allclose(network.values[0], true[:4], rtol=0.02)
    distance = np.abs(network.values[0][:, None] - true).min(axis=1)
    assert (distance <= network.errors[0] + 0.01 * true[0]).all()
    norm = np.linalg.norm(true)
    assert abs(network.frobenius[0] - norm) < 4 * network.frobenius_error[0] + 0.01 * norm
    assert network.effective_rank[0] == pytest.approx((network.frobenius[0] / true[0]) ** 2, 0.05)
    both = found.beside(found)
    assert both.table().row_count == 2
    read = Jacobian.read(both.save(tmp_path)[0])
    np.testing.assert_equal(read.networks[1].values, network.values)


def test_an_isometric_network_has_singular_values_of_one():
    (found,) = measure_jacobian(rotations(), X[:2], output="b", count=3).networks
    np.testing.assert_allclose(found.values, 1, rtol=1e-5)
    np.testing.assert_allclose(found.typical, 1, atol=4 * found.frobenius_error.max() / 96**0.5)


def test_a_jacobian_by_several_inputs_is_refused():
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(DiagnosticsError, match="pair has 2 inputs"):
        measure_jacobian(keras.Model([a, b], a + b, name="pair"), X)


def test_untrained_networks_are_measured_with_the_statistics_of_the_batch():
    model = Classifier(architecture("vanilla-bn-8", classes=3, width=4))
    subject = Subject("untrained", model, drawn(4, 8, 8, 3), LABELS, fresh=True)
    (lent,) = MEASURES["jacobian"].run(subject).networks
    (running,) = MEASURES["jacobian"].run(dataclasses.replace(subject, fresh=False)).networks
    assert (lent.statistics, running.statistics) == ("batch", "running")
    # Running statistics of zeros and ones would leave the signal to die.
    assert (lent.values[:, 0] > 1.2 * running.values[:, 0]).all()


@pytest.mark.parametrize("cost", [isometry_cost, jacobian_cost])
def test_costs_grow_with_the_images(cost):
    model = rotations()
    one, two = cost(model, X[:2]), cost(model, np.concatenate([X, X]))
    assert isinstance(one, Cost)
    assert one.passes * one.batch < two.passes * two.batch
    assert 0 < one.bytes <= two.bytes


def test_the_cost_counts_what_gradients_keep():
    # Of each image: the input, three tensors of its size, and three logits; all are cuts.
    made = 4 * (3 * 96 + 3)
    assert isometry_cost(rotations(), X).bytes == 4 * (made + 3 * made + 2 * 4 * 96)


def test_arrays_of_one_cut_are_held_at_a_time():
    model = keras.Sequential([keras.Input((64, 64, 8)), *(layers.ReLU() for _ in range(8))])
    model = keras.Model(model.inputs, layers.GlobalAveragePooling2D()(model.outputs[0]))
    images = drawn(8, 64, 64, 8)
    measure_isometry(model, images[:2], LABELS[:2])
    tracemalloc.start()
    try:
        measure_isometry(model, images, np.arange(8))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of eight cuts, each of them as large as the images, in twice their precision it would be 16.
    assert most < 4 * images.nbytes


@pytest.mark.slow
def test_a_network_of_keras_applications():
    model = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=3)
    images = drawn(4, 32, 32, 3)
    (found,) = measure_isometry(model, images, LABELS, training=True).networks
    assert found.cuts[-1] == "predictions"
    assert np.isfinite(found.gradients.norms).all()
    loss, slopes = loss_and_gradients(model, images, LABELS)
    lost = keras.losses.sparse_categorical_crossentropy(LABELS, model(images))
    assert loss == pytest.approx(float(ops.mean(lost)), rel=1e-4)
    assert all(np.isfinite(slope).all() for slope in slopes)
    (found,) = measure_jacobian(model, images[:1], batch=images, count=2).networks
    # Not the map of one position that its head convolves.
    assert found.output == "conv_pw_13_relu"
    assert (found.values > 0).all()


@pytest.mark.kerashub
def test_a_backbone_of_kerashub():
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.ResNetBackbone(
        [64], [3], [64], [1], [1], "basic_block", image_shape=(32, 32, 3)
    )
    images = drawn(4, 32, 32, 3)
    with pytest.raises(DiagnosticsError, match="loss="):
        measure_isometry(backbone, images, LABELS)
    (found,) = measure_isometry(
        backbone, images, LABELS, loss=lambda labels, y: ops.square(y), training=True
    ).networks
    assert np.isfinite(found.gradients.norms).all()
    (found,) = measure_jacobian(backbone, images[:1], batch=images, count=2).networks
    assert (found.values > 0).all()
