"""The landscape around a network: its directions are Li et al.'s, and the network never moves."""

import json

import keras
import numpy as np
import pytest

from isozoo.diagnostics import landscapes
from isozoo.diagnostics.landscapes import filter_normalised, landscape, landscape_cost
from isozoo.diagnostics.surface import LossSurface
from isozoo.errors import DiagnosticsError
from isozoo.training.checkpoint import values_of

RANDOM = np.random.default_rng(0)
BATCH = RANDOM.normal(size=(7, 6, 6, 2)).astype("float32"), np.arange(7) % 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(2, depth_multiplier=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, bias_initializer="ones"),
        ]
    )


def lengths(values, axes):
    return np.sqrt((np.asarray(values, np.float64) ** 2).sum(axis=axes))


def test_filters_keep_their_lengths_and_biases_stay(model):
    found = filter_normalised(model, np.random.default_rng(0))
    values = values_of(model.trainable_variables)
    for direction, value, axes in zip(
        found, values, [(0, 1, 2), None, None, None, (0, 1), None, (0,), None], strict=True
    ):
        if axes is None:
            assert not direction.any()
        else:
            np.testing.assert_allclose(lengths(direction, axes), lengths(value, axes), rtol=1e-6)
            assert not np.allclose(direction, value)


@pytest.mark.parametrize(
    ("layer", "outputs"),
    [
        (keras.layers.Conv2DTranspose(5, 3), {"kernel": (0, 1, 3)}),
        (
            keras.layers.SeparableConv2D(5, 3, depth_multiplier=2),
            {"depthwise_kernel": (0, 1), "pointwise_kernel": (0, 1, 2)},
        ),
        (keras.layers.PReLU("ones"), {"alpha": None}),
        (keras.layers.Conv1D(4, 3), {"kernel": (0, 1)}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_layer_has_filters_of_its_own_axes(layer, outputs):
    shape = (6, 2) if isinstance(layer, keras.layers.Conv1D) else (6, 6, 2)
    model = keras.Sequential([keras.Input(shape), layer, keras.layers.Flatten()])
    found = filter_normalised(model, np.random.default_rng(0))
    directions = dict(zip((v.name for v in model.trainable_variables), found, strict=True))
    for name, axes in outputs.items():
        direction, value = directions[name], getattr(layer, name)
        if axes is None:
            assert not direction.any()
        else:
            expected = lengths(keras.ops.convert_to_numpy(value), axes)
            np.testing.assert_allclose(lengths(direction, axes), expected, rtol=1e-6)


def test_a_weight_whose_filters_nobody_knows_is_named():
    layer = keras.layers.EinsumDense("abc,cd->abd", (None, 3), name="einsum")
    model = keras.Sequential([keras.Input((6, 2)), layer, keras.layers.Flatten()])
    with pytest.raises(DiagnosticsError, match=r"einsum/kernel of shape \(2, 3\), and nobody"):
        filter_normalised(model, np.random.default_rng(0))


@pytest.mark.parametrize("points", [3, 5, 7, 9, 11, 13, 21, 25])
def test_no_rounding_chooses_the_points_around_the_centre(points):
    places = np.linspace(-1, 1, points)
    found = landscapes.Landscape("m", 0, 1, False, places, np.ones((points, points)), 0.0)
    for radius in (0.5, *places[points // 2 + 1 :]):
        mask = found.ring(radius)
        for other in (mask[::-1], mask[:, ::-1], mask.T):
            np.testing.assert_array_equal(other, mask)
    if points == 11:
        assert found.ring(0.5).sum() == 20


def test_the_grid_is_around_the_network(model):
    found = landscape(model, *BATCH, points=3, extent=0.5, seed=3, batch_size=4)
    surface = LossSurface(model, *BATCH)
    values = surface.values()
    assert found.centre == pytest.approx(surface.loss(values), rel=1e-6)
    random = np.random.default_rng(3)
    one, other = (filter_normalised(model, random) for _ in range(2))
    there = [
        (w + 0.5 * d - 0.5 * e).astype(w.dtype) for w, d, e in zip(values, one, other, strict=True)
    ]
    # Rows go by the second direction, columns by the first.
    assert found.losses[0, 2] == pytest.approx(surface.loss(there), rel=1e-5)
    # The corners are nearer to that distance than half the way between points.
    around = (found.losses.sum() - found.centre) / 8
    assert found.rise(0.5) == pytest.approx(around - found.centre)
    assert abs(found.cosine) < 0.5


def test_a_landscape_that_is_interrupted_leaves_the_network(model, monkeypatch):
    before = values_of(model.variables)
    computed = []

    def loss(self, values):
        computed.append(values)
        if len(computed) > 2:
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr(landscapes.LossSurface, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        landscape(model, *BATCH, points=3)
    for one, other in zip(before, values_of(model.variables), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_landscape_is_shown_and_read_again(model):
    found = landscape(model, *BATCH, points=5, label="demo")
    again = type(found).from_json(json.loads(json.dumps(found.to_json())))
    np.testing.assert_array_equal(again.losses, found.losses)
    assert found.table().row_count == 3
    assert found.table().title == "demo: loss of 7 images, seed 0"
    losses = found.losses.copy()
    losses[0, 0] = np.inf
    for values in (found.losses, losses, np.ones_like(losses)):
        landscapes.dataclasses.replace(found, losses=values).plot()


def test_the_cost_counts_batches(model):
    cost = landscape_cost(model, BATCH[0], points=5, batch_size=4)
    assert (cost.passes, cost.batch) == (25 * 2, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extent": 0.0}, "extent must be positive, got 0.0"),
        ({"points": 4}, "points must be odd and at least 3, got 4"),
        ({"points": 1}, "points must be odd and at least 3, got 1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_grids_that_cannot_be_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        landscape(model, *BATCH, **options)
