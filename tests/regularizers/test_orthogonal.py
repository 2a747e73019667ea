"""The regulariser: its factor, its record, its refusals."""

import json

import keras
import numpy as np
import pytest

from isozoo.regularizers import OrthogonalConv, orthogonality_penalty


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_does_not_change_the_loss_of_a_layer(policy):
    losses = []
    for dtype in ("float32", policy):
        layer = keras.layers.Conv2D(
            8,
            3,
            dtype=dtype,
            kernel_initializer=keras.initializers.HeNormal(seed=0),
            kernel_regularizer=OrthogonalConv(0.5),
        )
        layer(np.zeros((1, 8, 8, 4)))
        losses.append(layer.losses[0])
    assert [keras.backend.standardize_dtype(loss.dtype) for loss in losses] == ["float32"] * 2
    assert float(losses[0]) == float(losses[1]) > 0.0


def test_the_regulariser_is_its_factor_times_the_penalty():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype("float32")
    regulariser = OrthogonalConv(0.25, (2, 1), "exact", "convolution", groups=2)
    penalty = float(orthogonality_penalty(kernel, (2, 1), "exact", "convolution", groups=2))
    assert float(regulariser.penalty(kernel)) == penalty
    np.testing.assert_allclose(float(regulariser(kernel)), 0.25 * penalty, rtol=1e-6)


def test_the_regulariser_is_saved_and_restored():
    regulariser = OrthogonalConv(0.25, (2, 1), "exact", "convolution", groups=2)
    record = keras.saving.serialize_keras_object(regulariser)
    assert record["registered_name"] == "isozoo>OrthogonalConv"
    text = json.dumps(record)
    twin = keras.saving.deserialize_keras_object(json.loads(text))
    assert json.dumps(keras.saving.serialize_keras_object(twin)) == text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"condition": "true"}, "unknown condition 'true'; known: paper, exact"),
        ({"method": "loop"}, "unknown method 'loop'; known: gram, fourier, karatsuba, convolution"),
        ({"strides": 0}, r"strides must be at least 1, got \(0, 0\)"),
        ({"strides": (2, -1)}, r"strides must be at least 1, got \(2, -1\)"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        orthogonality_penalty(np.ones((3, 3, 4, 4)), **options)
    with pytest.raises(ValueError, match=message):
        OrthogonalConv(**options)


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
def test_a_factor_that_is_negative_or_not_finite_is_refused(factor):
    with pytest.raises(ValueError, match=f"factor must be at least 0 and finite, got {factor}"):
        OrthogonalConv(factor)
