"""Trained networks made over: channels, heads, precisions, sizes and frozen stages."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import isozoo
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.models.adapting import adapt
from isozoo.models.folder import LoadReport
from isozoo.models.variables import named_values, named_variables
from tests.harness import PROPERTY, numpy

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 32, 32, 3)).astype("float32")


def trained(name="r-isonet-8", classes=3, **options):
    """Return a network all of whose values are as training leaves them: no two alike."""
    model = isozoo.create(name, classes=classes, **options)
    rng = np.random.default_rng(1)
    for name, variable in named_variables(model).items():
        value = 0.2 * rng.standard_normal(variable.shape)
        variable.assign(1.0 + np.abs(value) if name.endswith("moving_variance") else value)
    names = tuple(named_variables(model))
    model.load_report = LoadReport("nowhere", names)
    return model


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture(scope="module")
def expected(model):
    return numpy(model(IMAGES))


# Channels


@pytest.mark.parametrize("name", ["r-isonet-8", "resnet-8", "fixup-8", "isonet-18-w32"])
@pytest.mark.parametrize("channels", [1, 2, 4, 6, 9])
def test_equal_channels_are_answered_as_by_the_trained_network(name, channels):
    old = trained(name)
    new = adapt(old, in_channels=channels)
    grey = RNG.normal(size=(2, 32, 32, 1)).astype("float32")
    found = numpy(new(np.repeat(grey, channels, axis=-1)))
    answer = numpy(old(np.repeat(grey, 3, axis=-1)))
    np.testing.assert_allclose(found, answer, rtol=1e-4, atol=1e-5 * np.abs(answer).max())


@PROPERTY
@given(channels=st.integers(1, 8), seed=st.integers(0, 99))
def test_only_the_first_kernel_changes(model, channels, seed):
    new = adapt(model, in_channels=channels)
    old, values = named_values(model), named_values(new)
    changed = [name for name in old if not np.array_equal(old[name], values[name])]
    assert changed == (["stem_conv/kernel"] if channels != 3 else [])
    sums = [v["stem_conv/kernel"].sum(axis=2) for v in (old, values)]
    np.testing.assert_allclose(*sums, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 4, 6])
def test_grey_photographs_keep_their_answer_with_three_channels_or_more(model, channels):
    grey = RNG.integers(0, 256, (40, 50, 1), np.uint8)
    new = adapt(model, in_channels=channels)
    found, expected = (
        numpy(net(net.preprocess(np.repeat(grey, count, axis=-1))))
        for net, count in ((new, channels), (model, 3))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_network_of_one_channel_classifies_any_picture(model, tmp_path):
    new = adapt(model, in_channels=1)
    assert new.input_shape == (None, None, None, 1)
    colour = RNG.integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    answers = new.classify([tmp_path / "colour.png", colour, grey, Image.fromarray(grey)], top=3)
    assert answers[0] == answers[1] == answers[2] == answers[3]
    batch = new.preprocess(np.stack([grey, grey])[..., None])
    np.testing.assert_array_equal(batch[1:], new.preprocess(grey))


def test_the_kernel_of_a_network_of_one_channel_is_spread(model):
    again = adapt(adapt(model, in_channels=1), in_channels=3)
    kernel, grey = (
        named_values(m)["stem_conv/kernel"] for m in (again, adapt(model, in_channels=1))
    )
    np.testing.assert_allclose(kernel, np.repeat(grey / 3, 3, axis=2), rtol=1e-6)
    assert again.load_report.adapted == ("stem_conv/kernel",)
    assert again.preprocessing.channels == 3


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_fixed_shape_follows_the_channels(data_format):
    shape = (40, 32, 3) if data_format == "channels_last" else (3, 40, 32)
    new = adapt(trained(input_shape=shape, data_format=data_format), in_channels=5)
    expected = tuple(5 if side == 3 else side for side in shape)
    assert new.input_shape == (None, *expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (32, 32, 1)}, "does not fit a network of 3 input channels"),
        (
            {"in_channels": 1, "input_shape": (32, 32, 3)},
            r"\(32, 32, 3\) does not fit a network of 1 input channels in channels_last",
        ),
        ({"in_channels": 0}, "channels must be at least 1, got 0"),
        ({"in_channels": 1.5}, "channels must be a whole number, got 1.5"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"classes": True}, "classes must be a whole number, got True"),
        ({"classes": "cat"}, r"got the text 'cat'; write \['cat'\]"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"dtype": "flot32"}, "unknown dtype 'flot32'; did you mean 'float32'"),
        *(
            ({"input_shape": shape}, "does not fit a network of 3 input channels")
            for shape in ((32, 32), (48,), 48, np.int64(48), "48", (48.0, 48.0, 3), (0, 0, 3))
        ),
        ({"classes": ["a", "a"]}, "labels must be distinct, got 'a' more than once"),
        ({"classes": [0, 1]}, "labels must be texts, got 0 of type int; write '0' for it"),
    ],
)
def test_what_cannot_be_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        adapt(model, **options)


# Precisions


@pytest.mark.parametrize(
    ("dtype", "variables", "compute", "tolerance"),
    [
        ("float32", "float32", "float32", 0.0),
        ("float64", "float64", "float64", 1e-5),
        ("bfloat16", "bfloat16", "bfloat16", 0.1),
        ("float16", "float16", "float16", 0.01),
        ("mixed_bfloat16", "float32", "bfloat16", 0.1),
        ("mixed_float16", "float32", "float16", 0.01),
    ],
)
def test_every_precision_gives_the_answer_to_its_own_rounding(
    model, expected, dtype, variables, compute, tolerance
):
    new = adapt(model, dtype=dtype)
    assert new.dtype_policy.name == dtype
    assert {v.dtype for v in new.weights} == {variables}
    assert {layer.compute_dtype for layer in new.backbone.layers[1:]} == {compute}
    found = new(IMAGES)
    assert keras.backend.standardize_dtype(found.dtype) == variables
    error = np.abs(numpy(keras.ops.cast(found, "float32")) - expected).max()
    assert error <= tolerance * np.abs(expected).max()
    assert abs(sum(p.probability for p in new.classify(np.zeros((9, 9, 3), "uint8"))[0]) - 1) < 0.02


def test_values_out_of_the_range_of_a_precision_are_refused():
    large = trained()
    large.head.get_layer("head_fc").bias.assign([1e5, 0.0, 0.0])
    for dtype in ("mixed_float16", "bfloat16"):
        assert adapt(large, dtype=dtype).dtype_policy.name == dtype
    with pytest.raises(WeightsError, match=r"head_fc/bias .* out of the range of float16; use"):
        adapt(large, dtype="float16")


# Sizes, dropout, heads


def test_a_fixed_square_is_what_pictures_become(model):
    new = adapt(model, input_shape=(48, 48, 3))
    assert (new.preprocessing.size, new.preprocessing.resize) == (48, 48)
    assert len(new.classify(np.zeros((100, 80, 3), "uint8"))) == 1
    assert adapt(model, input_shape=(None, None, 3)).preprocessing == model.preprocessing


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("sides", "fixed"), [((40, 64), "40x64"), ((48, None), "48xany"), ((32, 64), "32x64")]
)
def test_a_fixed_shape_that_is_no_square_takes_arrays_and_no_pictures(data_format, sides, fixed):
    old = isozoo.create("r-isonet-8", classes=3, data_format=data_format)
    shape = (*sides, 3) if data_format == "channels_last" else (3, *sides)
    new = adapt(old, input_shape=shape)
    assert new.preprocessing == old.preprocessing
    arrays = np.zeros((1, *(side or 40 for side in shape)), "float32")
    assert new(arrays).shape == (1, 3)
    for ask in (new.classify, new.preprocess):
        with pytest.raises(
            ValueError, match=f"input is fixed to {fixed}, preprocessing makes 32x32; give .*square"
        ):
            ask(np.zeros((40, 64, 3), "uint8"))


def test_dropout_is_of_training_only(model, expected):
    new = adapt(model, dropout=0.75)
    assert new.architecture == model.architecture.replace(dropout=0.75)
    assert new.head.get_layer("head_dropout").rate == 0.75
    np.testing.assert_array_equal(numpy(new(IMAGES)), expected)
    assert new.load_report.fresh == new.load_report.adapted == ()


def test_nothing_asked_is_the_model_itself(model):
    assert adapt(model) is model


CHANGES = {
    "classes": ["a", "b"],
    "in_channels": 2,
    "dropout": 0.0,
    "dtype": "mixed_bfloat16",
    "input_shape": (24, 24),
}


@pytest.mark.parametrize(
    "names", [pair for n in (2, 5) for pair in itertools.combinations(CHANGES, n)], ids="-".join
)
def test_changes_go_together(model, names):
    asked = {name: CHANGES[name] for name in names}
    channels = asked.get("in_channels", 3)
    if "input_shape" in asked:
        asked["input_shape"] += (channels,)
    new = adapt(model, **asked)
    described = model.architecture.replace(channels=channels)
    if "classes" in asked:
        described = described.replace(classes=2)
    if "dropout" in asked:
        described = described.replace(dropout=0.0)
    assert new.architecture == described
    assert new.labels == (("a", "b") if "classes" in asked else model.labels)
    assert new.dtype_policy.name == asked.get("dtype", "float32")
    assert new.preprocessing.channels == channels
    report = new.load_report
    assert report.fresh == (("head_fc/kernel", "head_fc/bias") if "classes" in asked else ())
    assert report.adapted == (("stem_conv/kernel",) if channels != 3 else ())
    everything = {*report.assigned, *report.fresh, *report.adapted}
    assert everything == {*named_variables(new)}
    assert len(report.assigned) == len(everything) - len(report.fresh) - len(report.adapted)
    old, values = named_values(model), named_values(new)
    for name in report.assigned:
        np.testing.assert_array_equal(values[name], old[name])
    assert new.classify(np.zeros((40, 40, channels), "uint8"))[0]


def test_a_model_that_was_not_loaded_has_no_report(model):
    plain = isozoo.create("isonet-8", classes=2)
    assert adapt(plain, classes=4).load_report is None
    assert dataclasses.asdict(adapt(model, dropout=0.1).load_report)["source"] == "nowhere"


# Frozen stages


def test_the_stages_hold_every_layer_once():
    for name, stages in (("resnet-8", 3), ("r-isonet-18-w32", 4), ("fixup-8", 3)):
        backbone = isozoo.create(name, classes=2).backbone
        assert list(backbone.stages) == ["stem", *(f"s{i + 1}" for i in range(stages))]
        held = [v.path for layers in backbone.stages.values() for la in layers for v in la.weights]
        assert held == [v.path for v in backbone.weights]


@pytest.mark.parametrize("name", ["resnet-8", "resnet-bin-8", "r-isonet-8"])
@pytest.mark.parametrize("stages", ["stem", ["stem", "s2"], "backbone", ["s1", "backbone"]])
def test_frozen_stages_do_not_move_and_the_others_do(name, stages):
    model = trained(name)
    model.backbone.freeze(stages)
    frozen = ["stem", "s1", "s2", "s3"] if "backbone" in stages else [stages, *stages]
    before = named_values(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(IMAGES, np.array([0, 1]), epochs=2, verbose=0)
    after = named_values(model)
    for key, value in after.items():
        assert np.array_equal(value, before[key]) == (key.split("_")[0] in frozen), key


@pytest.mark.parametrize("name", ["resnet-8", "resnet-bin-8", "vanilla-bn-8"])
def test_a_frozen_encoder_infers_also_in_training(name):
    model = trained(name)
    inference = numpy(model.backbone(IMAGES, training=False))
    assert not np.allclose(numpy(trained(name).backbone(IMAGES, training=True)), inference)
    model.backbone.freeze("backbone")
    before = named_values(model)
    np.testing.assert_array_equal(numpy(model.backbone(IMAGES, training=True)), inference)
    for key, value in named_values(model).items():
        np.testing.assert_array_equal(value, before[key])
    assert model.backbone.trainable_variables == []


def test_frozen_convolutions_leave_the_penalty_to_the_others():
    model = trained()
    assert len(model.losses) > 0
    model.backbone.freeze("backbone")
    assert model.losses == []


def test_what_is_frozen_survives_keras_files(tmp_path):
    model = trained("resnet-8")
    model.backbone.freeze(["stem", "s1"])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [v.path for v in again.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]


def test_what_is_frozen_stays_frozen_inside_of_another_model(tmp_path):
    backbone = trained("resnet-8").backbone
    assert "frozen" not in backbone.get_config()
    backbone.freeze(["stem", "s1"])
    images = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone(images))
    outer = keras.Model(images, keras.layers.Dense(2)(pooled))
    outer.save(tmp_path / "outer.keras")
    again = keras.saving.load_model(tmp_path / "outer.keras")
    frozen = [layer.name for layer in again.get_layer("backbone").layers if not layer.trainable]
    assert frozen == [layer.name for layer in backbone.layers if not layer.trainable]
    assert {name.split("_")[0] for name in frozen} == {"stem", "s1"}
    np.testing.assert_array_equal(
        numpy(again(IMAGES, training=True)), numpy(outer(IMAGES, training=True))
    )


def test_an_unknown_stage_names_the_nearest(model):
    with pytest.raises(UnknownNameError, match=r"unknown stage 'stage'; did you mean 'stem'"):
        model.backbone.freeze("stage")
    with pytest.raises(UnknownNameError, match=r"unknown stage 's4'; did you mean 's"):
        model.backbone.freeze(["stem", "s4"])
    assert all(layer.trainable for layer in model.backbone.layers)
