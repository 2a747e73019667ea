"""Backbones of every family: their pyramids, layouts, dtypes and starts."""

import keras
import numpy as np
import pytest

from isozoo.layers import ResidualScale, ScalarBias, SReLU
from isozoo.models import architecture
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.regularizers import OrthogonalConv, model_penalty
from tests.harness import numpy
from tests.models.conftest import RESIDUAL

BATCH = np.random.default_rng(0).normal(size=(2, 32, 64, 3)).astype("float32")


def awake(name: str, **options) -> Backbone:
    """Return a backbone all of whose parts count: no scale is 0, no shift like another."""
    keras.utils.set_random_seed(0)
    backbone = Backbone(architecture(name), **options)
    rng = np.random.default_rng(1)
    for variable in backbone.weights:
        value = numpy(variable)
        change = 0.1 * rng.normal(size=value.shape)
        change = np.abs(change) if variable.name == "moving_variance" else change
        value = value * 0.5 if variable.name == "gate" else value
        variable.assign(value + change)
    return backbone


@pytest.mark.parametrize("family", RESIDUAL)
@pytest.mark.parametrize(
    ("depth", "levels", "width"), [(8, (0, 1, 2), 16), ("18-w32", (2, 3, 4, 5), 32)]
)
def test_the_pyramid_has_each_stage_at_its_stride(family, depth, levels, width):
    backbone = Backbone(architecture(f"{family}-{depth}"))
    assert list(backbone.pyramid_outputs) == [f"P{level}" for level in levels]
    found = keras.Model(backbone.input, backbone.pyramid_outputs)(BATCH, training=False)
    for i, level in enumerate(levels):
        expected = (2, 32 // 2**level, 64 // 2**level, width * 2**i)
        assert tuple(found[f"P{level}"].shape) == expected
        assert np.isfinite(numpy(found[f"P{level}"])).all()
    last = backbone.pyramid_outputs[f"P{levels[-1]}"]
    assert backbone.output is last


def test_bottlenecks_have_four_times_the_channels():
    pyramid = Backbone(architecture("r-isonet-50-w32")).pyramid_outputs
    assert [tensor.shape[-1] for tensor in pyramid.values()] == [128, 256, 512, 1024]


def test_odd_sizes_are_rounded_up_at_each_stride():
    found = Backbone(architecture("resnet-18-w32"))(np.zeros((1, 33, 47, 3)), training=False)
    assert found.shape[1:3] == (2, 2)


@pytest.mark.parametrize("name", [f"{family}-8" for family in RESIDUAL] + ["r-isonet-18-w32"])
def test_channels_first_gives_the_same_numbers(name):
    last, first = awake(name), awake(name, data_format="channels_first")
    assert first.input_shape == (None, 3, None, None)
    found = numpy(first(BATCH.transpose(0, 3, 1, 2), training=False))
    expected = numpy(last(BATCH, training=False))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (32, 32, 4)}, r"\(32, 32, 4\) does not fit a network of 3 input channels"),
        ({"input_shape": (32, 32)}, r"does not fit .* give \(None, None, 3\) or the same with"),
        (
            {"input_shape": np.int64(48)},
            "input_shape 48 does not fit a network of 3 input channels",
        ),
        (
            {"input_shape": (48, 48), "data_format": "channels_first"},
            r"\(48, 48\) does not fit .* give \(3, None, None\) or the same with",
        ),
        (
            {"input_shape": (32, 32, 3), "data_format": "channels_first"},
            r"in channels_first; give \(3, None, None\)",
        ),
        ({"data_format": "NHWC"}, "must be 'channels_last' or 'channels_first', got 'NHWC'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Backbone(architecture("r-isonet-8"), **options)


def test_the_number_of_input_channels_is_the_architectures():
    backbone = Backbone(architecture("r-isonet-8", channels=1), (28, 28, 1))
    assert backbone.input_shape == (None, 28, 28, 1)


CONFIGS = {
    "plain": {},
    "everything": {
        "input_shape": (3, 32, 40),
        "data_format": "channels_first",
        "dtype": "mixed_bfloat16",
        "name": "encoder",
        "trainable": False,
    },
}


@pytest.mark.parametrize("options", CONFIGS.values(), ids=list(CONFIGS))
def test_a_backbone_is_made_again_from_its_configuration(options):
    backbone = Backbone(architecture("fixup-8"), **options)
    twin = Backbone.from_config(backbone.get_config())
    assert twin.get_config() == backbone.get_config()
    assert twin.input_shape == backbone.input_shape
    assert [v.path for v in twin.weights] == [v.path for v in backbone.weights]
    assert [v.trainable for v in twin.weights] == [v.trainable for v in backbone.weights]


@pytest.mark.parametrize("name", ["r-isonet-8", "fixup-8", "resnet-bin-8"])
def test_keras_can_clone_a_backbone(name):
    """Its `clone_model` rebuilds the layers; the clone computes the same as a plain model."""
    backbone = awake(name)
    twin = keras.models.clone_model(backbone)
    twin.set_weights([numpy(variable) for variable in backbone.weights])
    np.testing.assert_array_equal(numpy(twin(BATCH)), numpy(backbone(BATCH)))


@pytest.mark.parametrize("name", ["r-isonet-8", "fixup-8", "resnet-bin-8"])
def test_a_saved_backbone_is_a_backbone_again(name, tmp_path):
    backbone = awake(name)
    backbone.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Backbone
    assert loaded.architecture == backbone.architecture
    np.testing.assert_array_equal(numpy(loaded(BATCH)), numpy(backbone(BATCH)))


def test_an_architecture_may_be_given_as_its_record():
    described = architecture("r-isonet-8")
    assert Backbone(described.to_dict()).architecture == described


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("family", RESIDUAL)
def test_mixed_precision_computes_in_half_and_keeps_float32(family, policy):
    backbone = awake(f"{family}-8", dtype=policy)
    assert {layer.compute_dtype for layer in backbone.layers[1:]} == {policy.removeprefix("mixed_")}
    assert {variable.dtype for variable in backbone.variables} == {"float32"}
    found = backbone(BATCH, training=False)
    assert keras.backend.standardize_dtype(found.dtype) == policy.removeprefix("mixed_")
    expected = numpy(awake(f"{family}-8")(BATCH, training=False))
    error = np.abs(numpy(found).astype("float32") - expected).max() / np.abs(expected).max()
    assert error < 0.1


@pytest.mark.parametrize("name", ["isonet-20", "r-isonet-20", "isonet-18-w32", "r-isonet-50-w32"])
def test_isometric_networks_start_with_no_penalty(name):
    assert float(model_penalty(Backbone(architecture(name)))) == 0.0


def test_r_isonet_starts_as_its_shortcuts():
    """Branches are multiplied by 0, so what they hold does not matter."""
    backbone = Backbone(architecture("r-isonet-8"))
    before = numpy(backbone(BATCH))
    for layer in backbone.layers:
        if "_f_" in layer.name and isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(numpy(layer.kernel) + 1.0)
    np.testing.assert_array_equal(numpy(backbone(BATCH)), before)


@pytest.mark.parametrize("name", ["resnet-8", "resnet-gn-8", "resnet-bin-8", "fixup-8"])
def test_residual_branches_start_at_zero(name):
    backbone = Backbone(architecture(name))
    ends = [layer for layer in backbone.layers if layer.name.endswith("_add")]
    assert len(ends) == 3
    branches = keras.Model(backbone.input, [end.input[1] for end in ends])
    for branch in branches(BATCH, training=True):
        assert not numpy(branch).any()


def test_the_first_convolution_starts_as_the_authors():
    """A delta on images for CIFAR; for ImageNet's 7x7, PyTorch's default."""
    for name in ("r-isonet-8", "isonet-8"):
        kernel = numpy(Backbone(architecture(name)).get_layer("stem_conv").kernel)
        assert (kernel != 0).sum() == kernel.sum() == 3
    for name in ("r-isonet-18", "fixup-18"):
        kernel = numpy(Backbone(architecture(name)).get_layer("stem_conv").kernel)
        assert np.abs(kernel).max() <= 147**-0.5
        assert abs(kernel.std() * (3 * 147) ** 0.5 - 1) < 0.05


@pytest.mark.parametrize(
    ("name", "first", "blocks", "layers"),
    [("fixup-8", "s3_b1_f_a", 3, 2), ("fixup-50-w32", "s4_b3_f_b", 16, 3)],
)
def test_fixup_counts_the_blocks_of_the_whole_network(name, first, blocks, layers):
    kernel = numpy(Backbone(architecture(name)).get_layer(first).kernel)
    he = (2 / (np.prod(kernel.shape[:2]) * kernel.shape[3])) ** 0.5
    assert abs(kernel.std() / he / blocks ** (-1 / (2 * layers - 2)) - 1) < 0.03


def test_without_a_shortcut_the_last_scale_is_not_zero():
    backbone = Backbone(architecture("vanilla-bn-8"))
    assert numpy(backbone(BATCH, training=True)).any()


def test_fixup_has_its_scalars_in_each_block():
    backbone = Backbone(architecture("fixup-14"))
    biases = [layer.name for layer in backbone.layers if isinstance(layer, ScalarBias)]
    scales = [layer.name for layer in backbone.layers if isinstance(layer, ResidualScale)]
    assert len(biases) == 1 + 6 * 4
    assert biases[:5] == [
        "stem_bias",
        "s1_b1_bias1a",
        "s1_b1_f_bias1b",
        "s1_b1_f_bias2a",
        "s1_b1_f_bias2b",
    ]
    assert scales == [f"s{i}_b{j}_f_shared_scalar" for i in (1, 2, 3) for j in (1, 2)]


def test_the_penalty_is_on_every_convolution_but_the_first():
    backbone = Backbone(architecture("r-isonet-50-w32"))
    found = [layer for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D)]
    regularisers = {layer.name: layer.kernel_regularizer for layer in found}
    assert regularisers.pop("stem_conv") is None
    assert len(regularisers) == 52
    for layer in found[1:]:
        regulariser = regularisers[layer.name]
        assert isinstance(regulariser, OrthogonalConv)
        assert (regulariser.factor, regulariser.strides) == (1e-4, tuple(layer.strides))


def test_no_penalty_is_built_where_none_is_asked_for():
    backbone = Backbone(architecture("r-isonet-8", orthogonality=0.0))
    assert backbone.losses == []
    assert Backbone(architecture("resnet-8")).losses == []


def test_only_the_shifts_the_scalars_and_the_gates_have_their_own_weight_decay():
    expected = {SReLU: 0.0, ResidualScale: 0.1, ScalarBias: 0.1}
    for name in ("r-isonet-8", "fixup-8", "resnet-8"):
        for layer in Backbone(architecture(name)).layers:
            for variable in layer.weights:
                found = getattr(variable, "weight_decay_multiplier", 1.0)
                assert found == expected.get(type(layer), 1.0), variable.path


def test_the_last_stage_of_the_classifier_is_the_backbones():
    model = Classifier(architecture("r-isonet-8"))
    assert model.backbone.output.shape[-1] == model.head.input.shape[-1] == 64
