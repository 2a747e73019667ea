"""Parts of networks: each value of a table is what it says, and every network can have it."""

import math

import keras
import numpy as np
import pytest

from isozoo.initializers import Delta, DeltaOrthogonal
from isozoo.layers import Maxout, PReLU, SReLU
from isozoo.models import architecture
from isozoo.models.backbone import Backbone
from isozoo.models.blocks import ACTIVATIONS, INITIALIZERS, NORMALIZATIONS, SHORTCUTS
from isozoo.models.classifier import Classifier
from isozoo.models.parts import ALIASES, PARTS
from isozoo.models.variables import named_values, named_variables, parameter_count
from isozoo.regularizers import model_penalty
from tests.harness import gradients, numpy

#: Two stages of one block: every kind of layer there is, in the least time.
SMALL = {"width": 4, "blocks": (1, 1), "classes": 3}
IMAGES = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
GRID = np.linspace(-4, 4, 65, dtype="float32")[:, None]
ERF = np.vectorize(math.erf)

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky-relu": lambda x: np.maximum(x, 0.01 * x),
    "prelu": lambda x: np.where(x > 0, x, 0.25 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * (1 + ERF(x / 2**0.5)) / 2,
    "maxout": lambda x: x.max(axis=-1, keepdims=True),
    "srelu": lambda x: np.maximum(x, -1),
    "srelu-before-padding": lambda x: np.maximum(x, 0),
}


def small(name="isonet-8", **changes):
    return architecture(name, **(SMALL | changes))


def conv_names(model) -> list[str]:
    return [name for name, v in named_variables(model).items() if len(v.shape) == 4]


def test_every_part_that_is_described_can_be_built():
    assert set(PARTS["normalization"]) == set(NORMALIZATIONS)
    assert set(PARTS["activation"]) == set(ACTIVATIONS) == set(FORMULAS)
    assert set(PARTS["initializer"]) == set(INITIALIZERS)
    assert set(PARTS["shortcut"]) == {"none", *SHORTCUTS}
    for field, names in ALIASES.items():
        assert set(names.values()) <= set(PARTS[field]).difference(names)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_computes_its_formula(name):
    x = np.concatenate([GRID, np.cos(3 * GRID)], axis=-1) if name == "maxout" else GRID
    found = numpy(ACTIVATIONS[name].layer(1, axis=-1)(x))
    np.testing.assert_allclose(found, FORMULAS[name](x), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_stem_pools_first_only_what_never_falls(name):
    if name != "maxout":
        rises = (np.diff(FORMULAS[name](GRID), axis=0) >= 0).all()
        # The slopes of PReLU are learned, and may become negative.
        assert ACTIVATIONS[name].after_pool == (rises and name != "prelu")
    stem = Backbone(small(activation=name, stem="imagenet"))
    pool, activation = stem.get_layer("stem_pool"), stem.get_layer("stem_relu")
    last, first = (activation, pool) if ACTIVATIONS[name].after_pool else (pool, activation)
    assert last.input is first.output


@pytest.mark.parametrize("family", ["isonet", "r-isonet"])
@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_adds_the_variables_it_says(name, family):
    plain, model = (
        Classifier(small(f"{family}-8", activation=a, conv_bias=True)) for a in ("relu", name)
    )
    # A number for each channel of: the stem, two activations in the first block, two in the second.
    channels = 4 + 2 * 4 + 2 * 8
    more = {PReLU: channels, SReLU: channels}
    kinds = {type(layer) for layer in model.backbone.layers}
    expected = sum(number for kind, number in more.items() if kind in kinds)
    if name == "maxout":
        # The stem and the branches have their filters twice; projections and shortcuts do not.
        values = named_values(plain).items()
        expected = sum(v.size for key, v in values if "proj" not in key and "head" not in key)
        expected -= sum(v.size for key, v in values if "scale" in key)
    assert parameter_count(model) - parameter_count(plain) == expected


@pytest.mark.parametrize("name", ["prelu", "maxout"])
@pytest.mark.parametrize("family", ["isonet", "r-isonet", "fixup"])
def test_channels_first_gives_the_same_numbers(name, family):
    arch = small(f"{family}-8", activation=name)
    last, first = Classifier(arch), Classifier(arch, data_format="channels_first")
    assert conv_names(last) == conv_names(first)
    rng = np.random.default_rng(1)
    for one, other in zip(last.weights, first.weights, strict=True):
        value = 0.3 * rng.normal(size=one.shape)
        one.assign(value)
        other.assign(value)
    expected, found = last(IMAGES), first(IMAGES.transpose(0, 3, 1, 2))
    assert numpy(expected).std() > 1e-3
    np.testing.assert_allclose(numpy(found), numpy(expected), rtol=1e-4, atol=1e-5)


def test_maxout_adds_the_shortcut_to_every_piece():
    backbone = Backbone(small("r-isonet-8", activation="maxout", residual_scale=0.5))
    layers = ("s2_b1_f_a_relu", "s2_b1_f_b", "s2_b1_proj", "s2_b1_relu")
    parts = keras.Model(backbone.input, [backbone.get_layer(name).output for name in layers])
    for variable in backbone.weights:
        if len(variable.shape) == 4:
            variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    _, branch, skip, found = (numpy(y) for y in parts(IMAGES))
    assert isinstance(backbone.get_layer("s2_b1_relu"), Maxout)
    expected = skip + 0.5 * branch.reshape(*skip.shape, 2).max(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["delta", "delta-orthogonal"])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_kernels_with_one_tap_start_without_penalty_and_leave_out_the_7x7(name, stem):
    model = Classifier(small("r-isonet-8", initializer=name, stem=stem))
    assert float(model_penalty(model)) < 1e-9
    first = named_values(model)["stem_conv/kernel"]
    middle = first.shape[0] // 2
    assert (np.count_nonzero(first) > first[middle, middle].size) == (stem == "imagenet")


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("xavier", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("xavier-normal", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("he", lambda fan_in, fan_out: 2 / fan_out),
        ("orthogonal", lambda fan_in, fan_out: 1 / max(fan_in, fan_out / 9)),
    ],
)
def test_random_kernels_have_the_variance_of_their_rule(name, variance):
    keras.utils.set_random_seed(0)
    for role in ("stem", "branch", "branch_end", "shortcut"):
        kernel = numpy(INITIALIZERS[name][role](small(stem="imagenet"))((3, 3, 32, 64)))
        assert abs(kernel.var() / variance(9 * 32, 9 * 64) - 1) < 0.05
        assert abs(kernel.mean()) < 0.1 * kernel.std()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", PARTS["initializer"])
def test_networks_of_half_precision_can_be_initialised(name, dtype):
    model = Classifier(small(initializer=name, scalar_biases=name == "fixup"), dtype=dtype)
    assert {v.dtype for v in model.weights} == {dtype}
    assert all(np.isfinite(value.astype("float32")).all() for value in named_values(model).values())


def test_delta_starts_maxout_as_relu():
    arch = small(activation="maxout")
    maxout, relu = Backbone(arch), Backbone(arch.replace(activation="relu"))
    np.testing.assert_array_equal(numpy(maxout(IMAGES)), numpy(relu(IMAGES)))
    keys = ("stem", "branch", "branch_end", "shortcut")
    assert [INITIALIZERS["delta"][role](arch).pieces for role in keys] == [2, 2, 2, 1]
    assert isinstance(INITIALIZERS["delta-orthogonal"]["branch"](arch), DeltaOrthogonal)
    with pytest.raises(ValueError, match="Delta: 2 pieces do not divide 5 filters"):
        Delta(pieces=2)((1, 1, 3, 5))


@pytest.mark.parametrize("scale", [1.0, 0.0, 0.1])
def test_a_constant_scale_is_no_variable_and_scales_alike(scale):
    learned = Classifier(small("r-isonet-8", residual_scale=scale))
    constant = Classifier(learned.architecture.replace(residual_scale_trainable=False))
    values = named_values(learned)
    scales = [key for key in values if key.endswith("/scale")]
    assert len(scales) == learned.architecture.branches
    for key, variable in named_variables(constant).items():
        value = np.random.default_rng(2).normal(size=variable.shape)
        variable.assign(value)
        named_variables(learned)[key].assign(value)
    assert named_values(constant).keys() == values.keys() - {*scales}
    np.testing.assert_allclose(
        numpy(constant(IMAGES)), numpy(learned(IMAGES)), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        numpy(constant.fuse()(IMAGES)), numpy(constant(IMAGES)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", FORMULAS)
def test_every_variable_of_a_network_with_an_activation_gets_a_gradient(name):
    keras.utils.set_random_seed(3)
    arch = small(
        "r-isonet-8", activation=name, residual_scale=0.7, initializer="he", conv_bias=True
    )
    model = Classifier(arch)
    labels = np.arange(4) % 3

    def loss(*variables):
        logits = model(IMAGES, training=False)
        return keras.ops.mean(
            keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        )

    for variable, gradient in zip(
        model.trainable_variables, gradients(loss, *model.trainable_variables), strict=True
    ):
        assert np.isfinite(gradient).all()
        assert gradient.any(), variable.path


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", [name for name in PARTS["normalization"] if name != "none"])
def test_small_batches_are_learned_with_every_normalisation(name, batch):
    keras.utils.set_random_seed(0)
    # Stripes across or along: normalising each picture does not take away what tells them apart.
    x = np.tile([1.0, -1.0], 4)[:, None, None] * np.ones((8, 8, 3))
    images = np.stack([x, x.swapaxes(0, 1)]) + 0.3 * np.random.default_rng(1).normal(size=x.shape)
    model = Classifier(small("resnet-8", normalization=name, blocks=(1,), zero_last_gamma=False))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, run_eagerly=True)
    found = model.fit(
        images, np.array([0, 1]), batch_size=batch, epochs=12, shuffle=False, verbose=0
    )
    assert found.history["loss"][-1] < 0.7 * found.history["loss"][0]
