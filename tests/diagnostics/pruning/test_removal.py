"""A network without some of its filters answers as it should."""

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics.filter_report import filters
from isozoo.diagnostics.pruning import (
    dead_filters,
    held_filters,
    prune,
    weakest_filters,
)
from isozoo.errors import DiagnosticsError, UnknownNameError
from isozoo.layers import (
    Conv2D,
    GroupNormalization,
    Maxout,
    ScalarBias,
    SReLU,
    SymmetricMaxPooling2D,
)

layers = keras.layers
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 16, 16, 3)).astype("float32")
ACTIVATION = "backbone/s1_b1_f_a_relu"


def answers(model, images=IMAGES):
    return keras.ops.convert_to_numpy(model(images, training=False))


def disturbed(model):
    """Give every weight a value of its own, so that nothing cancels by chance."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "variance" not in weight.path:
            weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    return model


def with_dead_filters(name):
    """Return a network three of whose filters are dead whatever comes."""
    model = disturbed(Classifier(architecture(name, classes=2)))
    get = model.backbone.get_layer
    if name.startswith("resnet"):
        beta = get("s1_b1_f_a_bn").beta
        beta.assign(
            np.r_[np.full(3, -50.0), beta.numpy()[3:] if hasattr(beta, "numpy") else beta[3:]]
        )
    else:
        shift = get("s1_b1_f_a_relu").shift
        shift.assign(np.r_[30.0, 50.0, 40.0, np.full(13, -1.0)])
    return model


@pytest.mark.parametrize("name", ["isonet-8", "r-isonet-8", "resnet-8"])
def test_dead_filters_leave_and_no_answer_changes(name):
    model = with_dead_filters(name)
    dead = dead_filters(model, filters(model, IMAGES))
    assert dead[ACTIVATION] == (0, 1, 2)
    found = prune(model, {ACTIVATION: dead[ACTIVATION]}, IMAGES)
    assert found.exact
    scale = np.abs(answers(model)).max()
    np.testing.assert_allclose(answers(found.model), answers(model), atol=3e-6 * scale)
    # A convolution that pads reads the constants of SReLU: the largest stays for all of them.
    stays = () if name == "resnet-8" else (1,)
    assert found.carriers.get(ACTIVATION, ()) == stays
    assert found.removed[ACTIVATION] == tuple(i for i in (0, 1, 2) if i not in stays)
    assert found.model.count_params() < model.count_params()


def test_without_carriers_a_constant_goes_into_the_bias_and_is_wrong_at_the_borders_only():
    model = with_dead_filters("isonet-8")
    report = filters(model, IMAGES)
    dead = {ACTIVATION: dead_filters(model, report)[ACTIVATION]}
    found = prune(model, dead, IMAGES, exact_borders=False)
    assert not found.exact
    assert found.carriers == {}
    whole, smaller = (
        answers(keras.Model(m.inputs[0], layer.output))
        for m, layer in (
            (model.backbone, model.backbone.get_layer("s1_b1_f_b")),
            (found.model, found.model.get_layer("s1_b1_f_b")),
        )
    )
    scale = np.abs(whole).max()
    inner = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(smaller[inner], whole[inner], atol=1e-5 * scale)
    assert np.abs(smaller - whole).max() > 0.01 * scale


def test_pruned_networks_are_saved_and_loaded(tmp_path):
    model = disturbed(Classifier(architecture("r-isonet-8", classes=2)))
    chosen = weakest_filters(model, filters(model, IMAGES), 0.5, tied=True)
    found = prune(model, chosen, IMAGES)
    found.model.save(tmp_path / "smaller.keras")
    again = keras.saving.load_model(tmp_path / "smaller.keras")
    np.testing.assert_array_equal(answers(again), answers(found.model))
    assert len(again.trainable_variables) == len(found.model.trainable_variables)


def test_branches_are_pruned_and_what_shortcuts_tie_is_not_unless_asked():
    model = disturbed(Classifier(architecture("r-isonet-8", classes=2)))
    report = filters(model, IMAGES)
    free = weakest_filters(model, report, 0.25)
    assert {name.rpartition("/")[2] for name in free} == {f"s{i}_b1_f_a_relu" for i in (1, 2, 3)}
    # In the order of blocks, the first stage's trunk is that of the stem.
    tied = prune(model, weakest_filters(model, report, 0.25, tied=True), IMAGES)
    assert tied.removed["backbone/stem_relu"] == tied.removed["backbone/s1_b1_add"]
    assert len(tied.removed["backbone/stem_relu"]) == 4


def test_the_weakest_are_those_of_the_least_entropy():
    model = disturbed(Classifier(architecture("r-isonet-8", classes=2)))
    report = filters(model, IMAGES)
    chosen = set(weakest_filters(model, report, 0.25)[ACTIVATION])
    entropy = report.layer(ACTIVATION).entropy
    rest = set(range(16)) - chosen
    assert max(entropy[list(chosen)]) <= min(entropy[list(rest)])
    assert weakest_filters(model, report, 0.01) == {}


def test_random_filters_are_a_control_that_is_the_same_each_time():
    model = disturbed(Classifier(architecture("r-isonet-8", classes=2)))
    report = filters(model, IMAGES)
    chosen = weakest_filters(model, report, 0.5, "random")
    assert chosen == weakest_filters(model, report, 0.5, "random")
    assert chosen != weakest_filters(model, report, 0.5)
    assert len(chosen[ACTIVATION]) == 8


def test_filters_that_cannot_be_removed_are_told_with_the_reason():
    model = small()
    report = filters(model, IMAGES[:, :8, :8])
    assert held_filters(model, report) == {}
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU(name="relu")(layers.Conv2D(4, 1)(inputs))
    x = layers.Reshape((8, 32), name="reshape")(x)
    model = keras.Model(inputs, x)
    report = filters(model, IMAGES[:, :8, :8])
    assert weakest_filters(model, report, 0.5) == {}
    why = "channels cannot be followed through reshape (Reshape)"
    assert held_filters(model, report) == {"relu": f"4 of 4: {why}"}


def small(form="channels_last"):
    """Return a network of everything that channels are followed through."""
    keras.utils.set_random_seed(0)
    form = {"data_format": form}
    axis, shape = (-1, (8, 8, 3)) if form["data_format"] == "channels_last" else (1, (3, 8, 8))
    inputs = keras.Input(shape)
    # Keras adds biases along the columns where channels are first and TensorFlow computes.
    x = Conv2D(6, 3, padding="same", name="first", **form)(inputs)
    x = SymmetricMaxPooling2D(3, 2, 1, **form)(SReLU(axis, name="act")(x))
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depth", **form)(x)
    y = layers.BatchNormalization(axis, name="norm")(y)
    y = Maxout(2, axis, name="maxout")(y)
    z = layers.Concatenate(axis, name="joined")([x, y * 0.5])
    z = Conv2D(4, 1, activation="relu", name="mixed", **form)(z)
    z = layers.Flatten(name="flat", **form)(z)
    return disturbed(keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(z)))


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_channels_are_followed_through_every_kind_of_layer(form):
    model = small(form)
    images = IMAGES[:, :8, :8]
    if form == "channels_first":
        images = np.moveaxis(images, -1, 1)
    # A channel that nothing reads may go: then the rest answers as before, to the bit but rounding.
    for name, axis, numbers in (("mixed", 2, (1, 7)), ("head", 0, range(2, 64, 4))):
        weights = model.get_layer(name).get_weights()
        np.moveaxis(weights[0], axis, 0)[list(numbers)] = 0
        model.get_layer(name).set_weights(weights)
    found = prune(model, {"act": [1], "mixed": [2]})
    assert found.exact is None
    assert found.removed["depth"] == (2, 3)
    assert found.removed["joined"] == (1, 7)
    assert found.removed["flat"] == tuple(range(2, 64, 4))
    np.testing.assert_allclose(answers(found.model, images), answers(model, images), atol=1e-6)
    assert found.model.get_layer("head").kernel.shape == (48, 3)


def test_a_layer_that_is_used_twice_ties_its_channels():
    inputs = keras.Input((4, 4, 3))
    shared = layers.Conv2D(5, 1, name="shared")
    first = layers.Conv2D(5, 1, name="first")(inputs)
    x = shared(shared(first))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    found = prune(model, {"first": [3]})
    assert found.removed["shared"] == found.removed["first"] == (3,)
    assert found.model.get_layer("shared").kernel.shape == (1, 1, 4, 4)


def test_a_layer_without_weights_may_be_used_for_any_channels():
    inputs, relu = keras.Input((4, 4, 3)), layers.ReLU(name="relu")
    x = relu(layers.Conv2D(4, 1, name="first")(inputs))
    x = relu(layers.Conv2D(8, 1, name="second")(x))
    x = relu(layers.Conv2D(8, 1, name="third")(x))
    model = disturbed(keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))))
    found = prune(model, {"second": [1, 5]})
    assert "third" not in found.removed
    assert found.removed["relu:2"] == (1, 5)
    assert found.model.get_layer("third").kernel.shape == (1, 1, 6, 8)


def test_a_layer_with_weights_that_is_used_for_other_channels_holds_them():
    inputs, scale = keras.Input((4, 4, 3)), ScalarBias(name="scale")
    x = scale(layers.Conv2D(4, 1, name="first")(inputs))
    x = scale(layers.Conv2D(8, 1, name="second")(x))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1)(x)))
    with pytest.raises(DiagnosticsError, match=r"scale:2 \(ScalarBias\) is used for other numbers"):
        prune(model, {"second": [1]})


@pytest.mark.parametrize("kind", [layers.GroupNormalization, GroupNormalization])
def test_instance_normalisation_loses_groups_with_its_channels(kind):
    parts = [
        layers.Conv2D(6, 1, name="first"),
        kind(-1, name="norm"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(2, name="head"),
    ]
    model = disturbed(keras.Sequential([keras.Input((4, 4, 3)), *parts]))
    head, images = model.get_layer("head"), IMAGES[:, :4, :4]
    kernel = keras.ops.convert_to_numpy(head.kernel).copy()
    kernel[[1, 4]] = 0
    head.kernel.assign(kernel)
    found = prune(model, {"first": [1, 4]})
    assert found.model.get_layer("norm").groups == 4
    np.testing.assert_allclose(answers(found.model, images), answers(model, images), atol=1e-5)


def test_layers_that_lose_nothing_stay_as_they_are():
    parts = [
        layers.Conv2D(4, 1, name="first"),
        layers.Conv2D(4, 1, groups=2, name="grouped"),
        layers.GroupNormalization(2, name="groups"),
        layers.Conv2D(6, 1, name="second"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    ]
    model = keras.Sequential([keras.Input((4, 4, 3)), *parts])
    found = prune(model, {"second": [0]})
    assert found.removed["second"] == (0,)
    assert found.model.get_layer("grouped").groups == 2


@pytest.mark.parametrize(
    "layer", [layers.BatchNormalization(-1, name="norm"), layers.Dense(4, name="norm")]
)
def test_layers_along_another_axis_than_that_of_channels_hold(layer):
    form = {"data_format": "channels_first"}
    first = layers.Conv2D(6, 1, name="first", **form)
    model = keras.Sequential([keras.Input((3, 8, 4)), first, layer, layers.Flatten(**form)])
    with pytest.raises(DiagnosticsError, match=r"cannot be followed through norm"):
        prune(model, {"first": [2]})


@pytest.mark.parametrize(
    ("layer", "holder"),
    [
        (layers.Conv2D(4, 1, groups=2, name="grouped"), r"grouped \(Conv2D\)"),
        (layers.GroupNormalization(2, name="groups"), r"groups \(GroupNormalization\)"),
        (layers.Reshape((8, 32), name="reshape"), r"reshape \(Reshape\)"),
        (layers.Softmax(name="soft"), r"soft \(Softmax\)"),
        (layers.SeparableConv2D(3, 1, name="apart"), r"apart \(SeparableConv2D\)"),
    ],
)
def test_channels_that_cannot_be_followed_are_refused_with_the_layer(layer, holder):
    first = layers.Conv2D(4, 1, name="first")
    model = keras.Sequential([keras.Input((8, 8, 3)), first, layer, layers.Flatten()])
    with pytest.raises(DiagnosticsError, match=rf"filter 2 of first cannot .* through {holder}"):
        prune(model, {"first": [2]})


def test_what_cannot_be_removed_is_said():
    model = small()
    with pytest.raises(UnknownNameError, match=r"'actt'.*did you mean 'act'"):
        prune(model, {"actt": [0]})
    with pytest.raises(DiagnosticsError, match="filter 6 of first, which has 6"):
        prune(model, {"first": [6]})
    with pytest.raises(DiagnosticsError, match=r"filter 0 of head .* head \(softmax\)"):
        prune(model, {"head": [0]})
    ends = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1, name="last")])
    with pytest.raises(DiagnosticsError, match="as it is one of the output; leave it"):
        prune(ends, {"last": [0]})
    with pytest.raises(DiagnosticsError, match=r"all 4 filters of mixed would be removed"):
        prune(model, {"mixed": range(4)})
    with pytest.raises(DiagnosticsError, match="no images"):
        prune(model, {"act": [0]}, [])
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\), got 1"):
        weakest_filters(model, filters(model, IMAGES[:, :8, :8]), 1.0)
    with pytest.raises(UnknownNameError, match="score of filters 'entropi'"):
        weakest_filters(model, filters(model, IMAGES[:, :8, :8]), 0.5, "entropi")


@pytest.mark.slow
def test_a_network_of_keras_is_pruned_inside_of_its_blocks():
    model = keras.applications.ResNet50(weights=None, classes=10, input_shape=(64, 64, 3))
    images = RNG.normal(size=(2, 64, 64, 3)).astype("float32")
    report = filters(model, images)
    found = prune(model, weakest_filters(model, report, 0.25), images)
    assert found.removed["conv2_block1_1_conv"] == found.removed["conv2_block1_1_relu"]
    assert "conv2_block1_out" not in found.removed
    assert found.model.count_params() < 0.75 * model.count_params()
    assert np.isfinite(answers(found.model, images)).all()
