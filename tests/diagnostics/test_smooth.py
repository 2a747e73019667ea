"""Smoothness along the gradient and shift by gradients: the golden numbers, and no trace left."""

import json
import zlib

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics.ahead import next_weights, step_ahead
from isozoo.diagnostics.shifts import covariate_shift, covariate_shift_cost
from isozoo.diagnostics.smooth import smoothness, smoothness_cost
from isozoo.diagnostics.surface import LossSurface, apart, multipliers, norm
from isozoo.diagnostics.walks import VARIANTS, Smoothness
from isozoo.errors import DiagnosticsError, UnknownNameError
from isozoo.layers import ResidualScale
from isozoo.training.checkpoint import values_of

RANDOM = np.random.default_rng(0)
BATCH = RANDOM.normal(size=(8, 8, 8, 3)).astype("float32"), np.arange(8) % 3


def drawn(key, shape):
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)


@pytest.fixture(scope="module")
def golden(root):
    folder = root / "tests" / "golden"
    return json.loads((folder / "landscape.json").read_text()), np.load(folder / "landscape.npz")


def tanh_network(described, dtype, optimizer=None):
    """Return the golden network of dense layers, and its batch."""
    tag, sizes = described["tag"], described["sizes"]
    layers = [keras.Input(sizes[:1], dtype=dtype)]
    for i, units in enumerate(sizes[1:]):
        kind = None if i == len(sizes) - 2 else "tanh"
        layers.append(keras.layers.Dense(units, kind, dtype=dtype, name=f"dense{i}"))
    model = keras.Sequential(layers)
    for i, layer in enumerate(model.layers):
        shape = sizes[i : i + 2]
        layer.kernel.assign(drawn(f"{tag}_w{i}", shape) / np.sqrt(sizes[i]))
        layer.bias.assign(0.1 * drawn(f"{tag}_b{i}", shape[1:]))
    if optimizer:
        model.compile(optimizer)
    count = described["batch"]
    images = drawn(f"{tag}_x", (count, sizes[0])).astype(dtype)
    return model, images, np.arange(count) % sizes[-1]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-4)])
@pytest.mark.parametrize("part", ["paper_range", "seed2"])
def test_the_golden_walks_are_met(golden, part, dtype, tolerance):
    described, arrays = golden
    expected = {key.split("/")[1]: arrays[key] for key in arrays if key.startswith(part)}
    model, *batch = tanh_network(described, dtype)
    found = smoothness(
        model, *batch, learning_rate=float(expected["lr"]), scales=expected["scales"]
    )
    close = {"rtol": tolerance, "atol": 0}
    np.testing.assert_allclose(found.losses[0], expected["loss"], **close)
    np.testing.assert_allclose(found.differences[0], expected["grad_l2_diff"], **close)
    np.testing.assert_allclose(found.ratios[0], expected["beta"], **close)
    np.testing.assert_allclose(found.loss[0], expected["loss0"], **close)
    np.testing.assert_allclose(found.gradient_norm[0], expected["grad_norm"], **close)
    assert found.beta[0] == found.ratios.max()
    assert found.loss_range[0].tolist() == [found.losses.min(), found.losses.max()]


def test_the_ranges_of_the_variants_are_the_golden_ones(golden):
    _, arrays = golden
    np.testing.assert_allclose(VARIANTS["exact"].scales, arrays["paper_range/scales"])
    np.testing.assert_allclose(VARIANTS["notebook"].scales, arrays["seed2/scales"])
    assert 0.035 * max(VARIANTS["notebook"].scales) == pytest.approx(0.6475)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-3)])
def test_the_golden_shift_is_met(golden, dtype, tolerance, request):
    described, arrays = golden
    # An optimiser's learning rate is a variable of this type.
    keras.config.set_floatx(dtype)
    request.addfinalizer(lambda: keras.config.set_floatx("float32"))
    optimizer = keras.optimizers.SGD(float(arrays["ics/lr"]))
    model, *batch = tanh_network(described, dtype, optimizer)
    found = covariate_shift(model, *batch)
    assert found.layers == ("dense0", "dense1", "dense2")
    close = {"rtol": tolerance, "atol": tolerance * 1e-3}
    np.testing.assert_allclose(found.l2[0], arrays["ics/ics_kernel_l2"], **close)
    np.testing.assert_allclose(found.cosine[0], arrays["ics/ics_kernel_cosine"], **close)
    assert found.l2[0, 0] == 0.0


def state_of(model):
    """Return all that a training step could change: weights, statistics, optimiser, generators."""
    return values_of([*model.variables, *model.optimizer.variables])


def small(frozen=False):
    """Return a network with all that has a state: batch normalisation, dropout, momentum."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    first = [layers.Conv2D(4, 3, name="conv1"), layers.BatchNormalization(name="norm")]
    rest = [layers.ReLU(), layers.Conv2D(3, 3, name="conv2"), layers.GlobalAveragePooling2D()]
    head = [layers.Dropout(0.5), layers.Dense(3, name="dense")]
    for layer in first:
        layer.trainable = not frozen
    model = keras.Sequential([keras.Input((8, 8, 3)), *first, *rest, *head], name="small")
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # There is momentum, and statistics are not as they began.
    model.train_on_batch(*BATCH)
    return model


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_measuring_leaves_no_trace(variant):
    model = small()
    before = state_of(model)
    found = smoothness(model, *BATCH, variant=variant, scales=[0.5, 1.0])
    again = smoothness(model, *BATCH, variant=variant, scales=[0.5, 1.0])
    np.testing.assert_array_equal(found.losses, again.losses)
    covariate_shift(model, *BATCH, variant=variant)
    assert same(state_of(model), before)
    assert found.steps.tolist() == [1]


def test_the_notebook_walks_from_the_next_weights_along_the_gradient_of_these():
    model = small()
    found = smoothness(model, *BATCH, variant="notebook", scales=[0.5, 2.0])
    exact = smoothness(model, *BATCH, scales=[0.5, 2.0])
    assert found.gradient_norm == exact.gradient_norm
    assert found.beta[0] == found.differences.max()
    assert exact.beta[0] == (exact.differences / exact.distances).max()
    # The same by hand: step, then walk in inference mode.
    surface = LossSurface(model, *BATCH, training=True)
    _, gradient = surface.gradient(surface.values())
    ahead = step_ahead(model, gradient)
    surface.training = False
    there = [w - np.float32(0.2) * g for w, g in zip(ahead, gradient, strict=True)]
    loss, other = surface.gradient(there)
    assert found.losses[0, 1] == pytest.approx(loss, rel=1e-5)
    assert found.differences[0, 1] == pytest.approx(apart(other, gradient), rel=1e-4)
    assert found.losses[0, 1] != pytest.approx(exact.losses[0, 1], rel=1e-3)


def test_a_step_ahead_is_the_step_of_training():
    model = small()
    surface = LossSurface(model, *BATCH, training=True)
    _, gradient = surface.gradient(surface.values())
    ahead = step_ahead(model, gradient)
    model.train_on_batch(*BATCH)
    for found, expected in zip(ahead, values_of(model.trainable_variables), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module", params=["fixup-8", "resnet-bin-8"])
def multiplied(request):
    """Return a network in float64 that learns some weights at other rates, and its batch."""
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = Classifier(architecture(request.param, classes=2))
    finally:
        keras.config.set_dtype_policy(policy)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        # Nothing is zero, and gates are inside of their interval.
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        noise = 0.01 * random.normal(size=value.shape) if value.ndim > 1 else 0.1
        variable.assign(0.8 * value + noise)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model, (random.normal(size=(4, 16, 16, 3)), np.arange(4) % 2)


def test_the_gradient_is_that_of_the_loss_where_layers_multiply_it(multiplied):
    model, batch = multiplied
    surface = LossSurface(model, *batch, training=True)
    values = surface.values()
    assert {value.dtype.name for value in values} == {"float64"}
    _, gradient = surface.gradient(values)
    _, scaled = surface.gradient(values, scaled=True)
    places = multipliers(model)
    assert len(places) >= 6
    for moving in (*([i] for i in places), range(len(values))):
        length = norm([gradient[i] for i in moving])
        there = [
            [w + (sign * 1e-4 * g / length if i in moving else 0) for i, (w, g) in
             enumerate(zip(values, gradient, strict=True))]
            for sign in (1, -1)
        ]  # fmt: skip
        slope = np.subtract(*map(surface.loss, there)) / 2e-4
        assert slope == pytest.approx(length, rel=0.02, abs=5e-6)
    for i, factor in places.items():
        np.testing.assert_allclose(scaled[i], factor * gradient[i], rtol=1e-12)
        assert norm([gradient[i]]) > 0


def test_a_step_ahead_multiplies_as_layers_do(multiplied):
    model, batch = multiplied
    surface = LossSurface(model, *batch, training=True)
    values = surface.values()
    _, scaled = surface.gradient(values, scaled=True)
    found = next_weights(model, *batch)
    for i in multipliers(model):
        np.testing.assert_allclose(values[i] - found[i], 0.1 * scaled[i], rtol=1e-6, atol=1e-12)


def test_a_gradient_that_a_layer_multiplies_by_zero_is_refused():
    scale = ResidualScale("ones", learning_rate_multiplier=0.0)
    model = keras.Sequential([keras.Input((8, 8, 3)), scale, keras.layers.Flatten()])
    surface = LossSurface(model, *BATCH)
    with pytest.raises(DiagnosticsError, match="its layer multiplies it by 0; give the layer"):
        surface.gradient(surface.values())


def test_steps_ahead_are_by_the_penalties_too():
    """They are those of training, whatever the gradient that is followed leaves out."""
    model = small()
    model.get_layer("conv1").kernel.regularizer = keras.regularizers.L2(0.5)
    ahead = next_weights(model, *BATCH)
    found = smoothness(model, *BATCH, variant="notebook", scales=[1.0])
    surface = LossSurface(model, *BATCH, training=True)
    _, gradient = surface.gradient(surface.values())
    surface.training = False
    there = [w - np.float32(0.1) * g for w, g in zip(ahead, gradient, strict=True)]
    assert found.losses[0, 0] == pytest.approx(surface.loss(there), rel=1e-5)
    model.train_function = None  # It was compiled before there was a penalty.
    model.train_on_batch(*BATCH)
    for one, other in zip(ahead, values_of(model.trainable_variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_step_that_fails_is_taken_back(monkeypatch):
    model = small()
    before = state_of(model)

    def interrupted(*arguments):
        model.trainable_variables[0].assign_add(np.ones(model.trainable_variables[0].shape))
        raise KeyboardInterrupt

    monkeypatch.setattr(model.optimizer, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        covariate_shift(model, *BATCH)
    assert same(state_of(model), before)


def test_a_layer_shifts_by_the_update_of_those_before_it_alone():
    model = small()
    found = covariate_shift(model, *BATCH)
    assert found.layers == ("conv1", "conv2", "dense")
    assert found.l2[0, 0] == 0.0
    assert (found.l2[0, 1:] > 0).all()
    # By hand: everything before the second convolution ahead, the rest where it was.
    surface = LossSurface(model, *BATCH, training=True)
    values = surface.values()
    _, gradient = surface.gradient(values)
    _, later = surface.gradient([*step_ahead(model, gradient)[:4], *values[4:]])
    assert found.l2[0, 1] == pytest.approx(apart(later[4:5], gradient[4:5]), rel=1e-4)
    assert covariate_shift(small(frozen=True), *BATCH, layers=["conv2"]).l2[0, 0] == 0.0


def test_results_are_shown_and_read_again():
    model = small()
    for found in (
        smoothness(model, *BATCH, scales=[1.0, 2.0], label="demo"),
        covariate_shift(model, *BATCH, label="demo", layers=["dense"]),
    ):
        again = type(found).from_json(json.loads(json.dumps(found.to_json())))
        assert again.to_json() == found.to_json()
        assert found.table().row_count == 1
        assert found.model in found.table().title
        found.plot()


def test_costs_count_passes():
    model = small()
    cost = smoothness_cost(model, BATCH[0], scales=[1.0, 2.0])
    assert (cost.passes, cost.batch) == (6, 8)
    assert cost.bytes > 8 * 3 * 6 * 6 * 4 * 4
    assert covariate_shift_cost(model, BATCH[0]).passes == 2 * (1 + 3)
    assert covariate_shift_cost(model, BATCH[0], ["dense"]).passes == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variant": "notbook"}, UnknownNameError, "unknown variant 'notbook'; did you mean"),
        ({"scales": [0.0, 1.0]}, ValueError, r"scales must be one positive number or more, got"),
        ({"scales": []}, ValueError, r"scales must be one positive number or more, got \[\]"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be positive, got 0.0"),
        ({}, DiagnosticsError, "has no optimiser, and its next step was asked for; compile it"),
        (
            {"learning_rate": 0.1, "variant": "notebook", "scales": [1]},
            DiagnosticsError,
            "has no optimiser",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(options, error, message):
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    with pytest.raises(error, match=message):
        smoothness(model, *BATCH, **options)


def test_shifts_that_cannot_be_measured_are_refused():
    model = small()
    with pytest.raises(UnknownNameError, match="unknown variant 'exakt'; did you mean 'exact'"):
        covariate_shift(model, *BATCH, variant="exakt")
    with pytest.raises(UnknownNameError, match="unknown layer with a kernel 'dens'; did you"):
        covariate_shift(model, *BATCH, layers=["dens"])
    with pytest.raises(DiagnosticsError, match="has no optimiser"):
        covariate_shift(keras.Sequential([keras.Input((8, 8, 3)), *model.layers]), *BATCH)


def test_a_measurement_without_a_gradient_has_no_beta():
    found = Smoothness(
        "m", "exact", True, *map(np.array, ([1.0], [0], [0.1], [1.0], [0.0], [[1.0]], [[0.0]]))
    )
    assert np.isnan(found.beta[0])
