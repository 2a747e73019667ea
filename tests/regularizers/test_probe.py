"""The estimate from random images: its mean, its spread, and the state that it draws from."""

import itertools
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from isozoo.layers import Conv2D
from isozoo.orthogonality import draw_images, gram, polyphase, probe
from isozoo.regularizers import (
    OrthogonalConv,
    model_penalty,
    orthogonality_penalty,
    set_penalty,
)
from isozoo.training.checkpoint import Checkpoints, Position
from tests.harness import gradients, numpy
from tests.regularizers.kernels import dense


def drawn(shape: tuple[int, ...], dtype="float64") -> np.ndarray:
    kernel = np.random.default_rng(1).normal(size=shape) / math.sqrt(np.prod(shape[:3]))
    return kernel.astype(dtype)


@pytest.mark.parametrize(
    ("kernel", "strides"),
    [
        (drawn((1, 1, 4, 5)), (1, 1)),
        (drawn((1, 2, 2, 3)), (1, 1)),
        (drawn((2, 2, 1, 2)), (1, 1)),
        (drawn((1, 3, 2, 2)), (1, 2)),
        (drawn((2, 3, 3, 4)), (3, 2)),
        (numpy(polyphase(keras.ops.convert_to_tensor(drawn((2, 3, 1, 5))), (2, 2))), (1, 1)),
    ],
    ids=lambda value: str(getattr(value, "shape", value)),
)
def test_the_mean_over_all_images_is_the_penalty_and_its_gradient(kernel, strides):
    positions, n, _ = draw_images(keras.ops.convert_to_tensor(kernel), strides, 1, 0).shape
    every = np.array(list(itertools.product((-1.0, 1.0), repeat=positions * n)))
    images = tf.constant(every.T.reshape(positions, n, -1))
    found = float(probe(keras.ops.convert_to_tensor(kernel), strides, images))
    np.testing.assert_allclose(found, float(gram(tf.constant(kernel), strides)), rtol=1e-12)
    (estimate,) = gradients(lambda k: probe(k, strides, images), kernel)
    (exact,) = gradients(lambda k: gram(k, strides), kernel)
    np.testing.assert_allclose(estimate, exact, rtol=1e-10, atol=1e-12)


#: Kernels, strides, condition and groups of which `dense` knows the operator.
CASES = [
    ((3, 3, 6, 6), 1, "paper", 1),
    ((3, 3, 8, 4), 2, "paper", 1),
    ((3, 3, 3, 4), 2, "exact", 1),
    ((1, 1, 6, 8), 2, "exact", 2),
    ((2, 3, 4, 8), (1, 2), "paper", 2),
]


def spread(shape, strides, condition, groups) -> float:
    """The standard deviation of an estimate from one image, by the formula in the documentation."""
    pair = (strides, strides) if isinstance(strides, int) else strides
    matrix, positions = dense(drawn(shape), pair, groups)
    small = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    square = np.linalg.matrix_power(small @ small.T - np.eye(len(small)), 2)
    return math.sqrt(((square**2).sum() - (square.diagonal() ** 2).sum()) / 2) / positions


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_estimate_from_many_images_is_within_its_error(case):
    shape, strides, condition, groups = case
    kernel, probes = drawn(shape), 8192

    def estimate(kernel):
        return orthogonality_penalty(
            kernel, strides, condition, "probe", groups, probes=probes, seed=3
        )

    def exact(kernel):
        return orthogonality_penalty(kernel, strides, condition, groups=groups)

    error = spread(*case) / math.sqrt(probes)
    assert error < 0.02 * float(exact(kernel))
    assert abs(float(estimate(kernel)) - float(exact(kernel))) < 3 * error
    (found,), (expected,) = gradients(estimate, kernel), gradients(exact, kernel)
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)


def test_the_spread_is_what_is_said_of_it_and_falls_with_the_number_of_images():
    shape, strides, condition, groups = case = CASES[1]
    kernel = tf.Variable(drawn(shape))
    exact = gradients(lambda k: orthogonality_penalty(k, strides), kernel.numpy())[0]
    far = []
    for probes in (1, 4):
        seed, values, squares = keras.random.SeedGenerator(0), [], []
        for _ in range(100):
            with tf.GradientTape() as tape:
                value = orthogonality_penalty(
                    kernel, strides, condition, "probe", groups, probes, seed
                )
            values.append(float(value))
            squares.append(((numpy(tape.gradient(value, kernel)) - exact) ** 2).sum())
        assert np.std(values) == pytest.approx(spread(*case) / math.sqrt(probes), rel=0.25)
        far.append(np.mean(squares))
    assert far[0] / far[1] == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize(("size", "share"), [(1, 1), (3, 9 / 25)])
def test_the_spread_of_gradients_near_an_isometry_is_what_is_said_of_it(size, share):
    n, probes = 32, 4
    kernel = 0.02 * np.random.default_rng(0).normal(size=(size, size, n, n))
    kernel[size // 2, size // 2] += np.eye(n)
    (exact,) = gradients(orthogonality_penalty, kernel)
    seed = keras.random.SeedGenerator(0)

    def estimate(kernel):
        return orthogonality_penalty(kernel, method="probe", probes=probes, seed=seed)

    away = [((gradients(estimate, kernel)[0] - exact) ** 2).sum() for _ in range(20)]
    expected = math.sqrt(n / (2 * probes) * share) * np.linalg.norm(exact)
    assert math.sqrt(np.mean(away)) == pytest.approx(expected, rel=0.15)


def test_the_same_seed_draws_the_same_images_and_a_generator_others():
    kernel = drawn((3, 3, 4, 4))
    first, second = (orthogonality_penalty(kernel, method="probe", seed=5) for _ in range(2))
    assert float(first) == float(second)
    generator = keras.random.SeedGenerator(5)
    first, second = (
        orthogonality_penalty(kernel, method="probe", seed=generator) for _ in range(2)
    )
    assert float(first) != float(second)


@pytest.mark.parametrize("method", [None, "probe"])
def test_one_call_in_a_few_has_the_penalty_of_all(method):
    kernel = tf.constant(drawn((1, 1, 4, 4), "float32"))
    regulariser = OrthogonalConv(0.5, method=method, probes=method and 64, every=3, seed=0)
    expected, calls = float(OrthogonalConv(0.5)(kernel)), 300
    found = np.array([float(regulariser(kernel)) for _ in range(calls)])
    np.testing.assert_allclose(found[found > 0].mean(), 3 * expected, rtol=0.03 if method else 1e-6)
    assert abs((found > 0).mean() - 1 / 3) < 3 * math.sqrt(2 / 9 / calls)


def small_model(layer=keras.layers.Conv2D, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 4))
    x = layer(4, 3, kernel_regularizer=OrthogonalConv(0.5))(inputs)
    x = layer(6, 1, strides=2, kernel_regularizer=OrthogonalConv(0.25, 2))(x)
    x = keras.layers.Conv2D(6, 1, name="free")(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    if options:
        set_penalty(model, **options)
    return model


def penalties(model: keras.Model) -> list[float]:
    return [float(loss) for loss in model.losses]


def test_no_pattern_of_training_and_validation_favours_a_layer():
    """By turns, three steps of training and one of validation gave layers 4/3 and 2/3."""
    model, exact = small_model(every=2, seed=0), penalties(small_model())
    found = np.array([penalties(model) for _ in range(600)])
    np.testing.assert_allclose(found.max(axis=0), 2 * np.array(exact), rtol=1e-6)
    training = np.arange(len(found)) % 4 < 3
    for calls in (found[training], found[~training]):
        away = calls.mean(axis=0) / exact - 1.0
        assert np.all(np.abs(away) < 3 / math.sqrt(len(calls))), away
    assert abs(np.corrcoef(found.T)[0, 1]) < 3 / math.sqrt(len(found))


def test_a_model_s_estimates_have_its_penalties_as_their_mean():
    expected = penalties(small_model())
    found = penalties(small_model(method="probe", probes=4096, seed=0))
    np.testing.assert_allclose(found, expected, rtol=0.05)
    for layer, (factor, strides) in zip(
        small_model(method="probe").layers[1:3], ((0.5, 1), (0.25, 2)), strict=True
    ):
        assert layer.kernel_regularizer.factor == factor
        assert layer.kernel_regularizer.strides == (strides, strides)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_state_advances_at_each_step_and_is_restored(jit_compile, tmp_path):
    images, targets = drawn((8, 6, 6, 4), "float32"), drawn((8, 6), "float32")

    def fit(model: keras.Model) -> list[float]:
        history = model.fit(images, targets, batch_size=4, shuffle=False, verbose=0)
        return history.history["loss"]

    def compiled() -> keras.Model:
        model = small_model(method="probe", every=3, seed=0)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        return model

    model = compiled()
    first = fit(model)
    states = [numpy(state.state) for state in model.penalty_states]
    assert [state[1] for state in states] == [4, 4]  # each step draws its turn and its images
    assert states[0][0] != states[1][0]
    checkpoints, resumed = Checkpoints(tmp_path), compiled()
    checkpoints.save(model, Position(1), notes={})
    checkpoints.newest().load(resumed)
    second = fit(model)
    assert fit(resumed) == second != first
    assert [numpy(state.state)[1] for state in resumed.penalty_states] == [8, 8]


@pytest.mark.parametrize("travel", ["clone", "save"])
def test_states_travel_with_the_convolutions_of_isozoo(travel, tmp_path):
    model = small_model(Conv2D, method="probe", seed=0)
    if travel == "clone":
        other = keras.models.clone_model(model)
    else:
        model.save(tmp_path / "model.keras")
        other = keras.saving.load_model(tmp_path / "model.keras")
    assert len(other.variables) == len(model.variables)
    states = [layer.kernel_regularizer.seed_generator.state for layer in other.layers[1:3]]
    assert {id(state) for state in states} <= {id(variable) for variable in other.variables}
    assert [int(state[0]) for state in states] == [
        int(state.state[0]) for state in model.penalty_states
    ]


def test_a_state_that_keras_would_drop_is_refused():
    regulariser = OrthogonalConv(method="probe")
    with (
        keras.StatelessScope(),
        pytest.raises(ValueError, match="never advance; assign its seed_generator to an attribute"),
    ):
        regulariser(tf.constant(drawn((1, 1, 2, 2))))


def test_the_estimate_is_saved_and_restored():
    regulariser = OrthogonalConv(0.25, 2, "exact", "probe", 2, probes=3, every=4, seed=7)
    text = json.dumps(keras.saving.serialize_keras_object(regulariser))
    twin = keras.saving.deserialize_keras_object(json.loads(text))
    assert json.dumps(keras.saving.serialize_keras_object(twin)) == text
    kernel = tf.constant(drawn((3, 3, 2, 4)))
    losses = [[float(each(kernel)) for _ in range(12)] for each in (regulariser, twin)]
    assert losses[0] == losses[1]
    assert 0.0 in losses[0] != [0.0] * 12


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_estimate_is_in_float32_under_mixed_precision(policy):
    losses = []
    for dtype in ("float32", policy):
        options = {"method": "probe", "every": 2, "seed": 0}
        layer = keras.layers.Conv2D(
            4, 3, dtype=dtype, kernel_initializer=keras.initializers.HeNormal(seed=0)
        )
        layer.kernel_regularizer = OrthogonalConv(0.5, **options)
        layer.build((1, 8, 8, 4))
        losses.append(layer.losses[0])
    assert [keras.backend.standardize_dtype(loss.dtype) for loss in losses] == ["float32"] * 2
    assert float(losses[0]) == float(losses[1]) > 0.0


def test_the_logged_penalty_stays_exact():
    assert float(model_penalty(small_model(method="probe"))) == float(model_penalty(small_model()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "probe", "probes": 0}, "probes must be at least 1, got 0"),
        ({"probes": 2}, "probes means nothing to method None, only to 'probe'"),
        ({"method": "gram", "probes": 2}, "probes means nothing to method 'gram'"),
        ({"method": "probe", "probes": 1.5}, r"probes must be whole, got 1\.5"),
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"every": 2.5}, r"every must be whole, got 2\.5"),
        ({"every": True}, "every must be whole, got True"),
        ({"strides": (2, 1.5)}, r"strides must be whole, got \(2, 1\.5\)"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OrthogonalConv(**options)


def test_models_whose_penalty_cannot_be_set_are_told():
    with pytest.raises(ValueError, match="'plain' has no OrthogonalConv whose method could be set"):
        set_penalty(keras.Sequential([keras.Input((4,))], name="plain"), every=2)
    model = small_model()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"is compiled, .* set it before compile\(\)"):
        set_penalty(model, every=2)
    model = small_model(every=2)
    with pytest.raises(ValueError, match="have random states already; build it anew"):
        set_penalty(model, every=2)
