"""Fused networks answer the same, say what they are, and are classifiers like any other."""

import keras
import numpy as np
import pytest

from isozoo.errors import WeightsError
from isozoo.models import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder
from isozoo.models.fusing import FOLDED, fuse
from isozoo.models.manifest import read_manifest
from isozoo.models.variables import named_values, named_variables
from tests.harness import numpy
from tests.models.conftest import RESIDUAL, assert_same

IMAGES = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
FOLDABLE = [family for family in RESIDUAL if architecture(f"{family}-8").normalization in FOLDED]
#: All depths of a kind in one small network of bottlenecks, two of them in a stage.
BOTTLENECK = {"block": "bottleneck", "blocks": (2, 1), "width": 8}


def described(family: str, bottleneck: bool = False):
    changes = BOTTLENECK if bottleneck else {}
    return architecture(f"{family}-8", classes=3).replace(**changes)


def trained(arch, **options) -> Classifier:
    """Return a network whose every variable has a value as training might leave it."""
    model = Classifier(arch, labels=["cat", "dog", "owl"], **options)
    random = np.random.default_rng(1)
    for name, variable in named_variables(model).items():
        z = random.normal(size=variable.shape)
        kind = name.rpartition("/")[2]
        if kind == "kernel":
            z = z / np.sqrt(np.prod(variable.shape[:-1]))
        elif kind == "moving_variance":
            z = 0.5 + abs(z)
        else:
            z = {"shift": -1.0, "gamma": 1.0, "scale": 0.7}.get(kind, 0.0) + 0.3 * z
        variable.assign(z)
    return model


def difference(model, fused, images=IMAGES) -> float:
    expected, found = (numpy(m(images, training=False)) for m in (model, fused))
    assert expected.std() > 0.05
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("bottleneck", [False, True], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("family", FOLDABLE)
def test_a_fused_network_answers_the_same(family, bottleneck):
    model = trained(described(family, bottleneck))
    assert difference(model, model.fuse()) < 1e-5


@pytest.mark.parametrize("family", ["r-isonet", "resnet"])
def test_a_fused_network_answers_the_same_channels_first(family):
    model = trained(described(family, bottleneck=True), data_format="channels_first")
    fused = model.fuse()
    assert fused.data_format == "channels_first"
    assert difference(model, fused, IMAGES.transpose(0, 3, 1, 2)) < 1e-5


@pytest.mark.parametrize("family", FOLDABLE)
def test_a_fused_network_of_mixed_precision_answers_within_it(family):
    exact = trained(described(family, bottleneck=True))
    fused = trained(described(family, bottleneck=True), dtype="mixed_bfloat16").fuse()
    assert fused.dtype_policy.name == "mixed_bfloat16"
    assert difference(exact, fused) < 0.04


def test_the_imagenet_stem_is_folded_too():
    arch = architecture("r-isonet-50-w32", classes=3).replace(blocks=(1, 1, 1, 1))
    model = trained(arch)
    fused = model.fuse()
    assert difference(model, fused, np.repeat(IMAGES, 2, axis=1)) < 1e-5
    assert isinstance(fused.backbone.get_layer("stem_relu"), keras.layers.ReLU)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("r-isonet-50", {"activation": "srelu-before-padding", "conv_bias": True}),
        ("r-isonet-18", {"activation": "srelu", "conv_bias": False}),
        ("resnet-18", {"activation": "relu", "conv_bias": True}),
        ("fixup-18", {"scalar_biases": True, "conv_bias": False}),
    ],
)
def test_the_architecture_says_what_was_folded(name, expected):
    arch = architecture(name, blocks=(1,), width=8)
    found = Classifier(arch).fuse().architecture
    assert {field: getattr(found, field) for field in expected} == expected
    assert (found.normalization, found.residual_scale, found.orthogonality) == ("none", None, 0.0)


@pytest.mark.parametrize("family", ["r-isonet", "resnet", "fixup"])
def test_fusing_twice_is_fusing_once(family):
    once = fuse(trained(described(family, bottleneck=True)))
    twice = fuse(once)
    assert twice.architecture == once.architecture
    assert_same(named_values(twice), named_values(once))


@pytest.mark.parametrize("family", sorted(set(RESIDUAL) - set(FOLDABLE)))
def test_what_depends_on_each_image_is_refused(family):
    with pytest.raises(ValueError, match=rf"{family}-8 cannot be fused: .* depends on each image"):
        Classifier(described(family)).fuse()


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("resnet", "stem_bn/gamma"),
        ("r-isonet", "s1_b1_f_shared_scalar/scale"),
        ("r-isonet", "s1_b1_f_b_relu/shift"),
        ("r-isonet", "s1_b1_f_a_relu/shift"),
    ],
)
def test_a_layer_of_another_name_is_not_left_out_in_silence(monkeypatch, name, variable):
    def renamed(model):
        values = named_values(model)
        return {key.replace(variable, "other/value"): value for key, value in values.items()}

    model = trained(described(name, bottleneck=True))
    assert variable in named_values(model)
    monkeypatch.setattr("isozoo.models.fusing.named_values", renamed)
    with pytest.raises(
        ValueError, match=r"other/value.* would be neither kept nor part of another"
    ):
        model.fuse()


def test_a_value_that_becomes_infinite_is_refused():
    model = trained(described("resnet"))
    model.backbone.get_layer("stem_bn").gamma.assign(np.full(16, 3e38))
    model.backbone.get_layer("stem_bn").moving_variance.assign(np.full(16, 1e-5))
    with pytest.raises(WeightsError, match="the fused resnet-8: variable stem_conv/kernel has"):
        model.fuse()


def test_a_fused_network_is_saved_and_loaded_like_any_other(tmp_path):
    fused = trained(described("r-isonet", bottleneck=True)).fuse()
    fused.save_pretrained(tmp_path / "fused")
    again = load_folder(tmp_path / "fused")
    assert again.architecture == fused.architecture
    assert_same(named_values(again), named_values(fused))
    assert again.classify(np.zeros((40, 40, 3), "uint8"))[0][0].label in ("cat", "dog", "owl")
    twin = Classifier.from_config(fused.get_config())
    assert [v.path for v in twin.weights] == [v.path for v in fused.weights]


def test_a_fused_network_says_what_it_was_fused_from_and_no_more(original, tmp_path):
    model = load_folder(original)
    before = read_manifest(original)
    fused = model.fuse()
    assert "s1_b1_f_b/kernel" in fused.load_report.adapted
    assert "s1_b1_f_a/kernel" in fused.load_report.assigned
    fused.save_pretrained(tmp_path / "fused")
    after = read_manifest(tmp_path / "fused")
    assert (after.tag, after.metrics, after.licence) == (None, {}, "MIT")
    assert after.source == f"fused from r-isonet-8.cats, fingerprint {before.fingerprint[:16]}"
    assert after.fingerprint != before.fingerprint
    assert load_folder(tmp_path / "fused").fuse().provenance.source.startswith("fused from")


def test_a_network_that_was_trained_on_is_fused_without_its_origin(original):
    model = load_folder(original)
    model.head.get_layer("head_fc").bias.assign_add([0.0, 0.25, 0.0])
    assert model.fuse().provenance is None
