"""Reading the authors' checkpoints: which dicts are taken, and what is said of the others."""

import keras
import numpy as np
import pytest

import isozoo
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.models.variables import named_values
from isozoo.zoo import official
from isozoo.zoo.official import load_state_dict, official_key
from tests.keyed import Fixture, keyed_state_dict


@pytest.fixture(scope="module")
def golden(root):
    return root / "tests" / "golden" / "official"


@pytest.fixture(scope="module")
def risonet(golden):
    return Fixture(golden, "cifar20_risonet").state_dict


@pytest.fixture(scope="module")
def values(risonet):
    return named_values(load_state_dict(risonet, "r-isonet-20"))


def _changed(state_dict, **changes):
    """Return a copy with some keys replaced, or removed where the new value is None."""
    names = {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in {**state_dict, **names}.items() if value is not None}


class Tensor:
    """What is used of a PyTorch tensor."""

    def __init__(self, value):
        self.value = value

    def detach(self):
        return self

    cpu = float = detach

    def numpy(self):
        return np.asarray(self.value, np.float32)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda d: {"net": d, "epoch": 99, "optim": {}},
        lambda d: {f"module.{key}": value for key, value in d.items()},
        lambda d: {"net": {f"module.{key}": value for key, value in d.items()}},
        lambda d: {key: Tensor(value) for key, value in d.items()},
        lambda d: {key: value.astype("f8") for key, value in d.items()},
        lambda d: dict(reversed(d.items())),
    ],
    ids=["net", "module", "net and module", "tensors", "float64", "order"],
)
def test_the_same_weights_in_any_wrapping_give_the_same_network(risonet, values, wrap):
    found = named_values(load_state_dict(wrap(risonet), "r-isonet-20"))
    assert found.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)


def test_each_variable_gets_its_own_tensor(risonet, values):
    np.testing.assert_array_equal(
        values["s2_b1_proj/kernel"], risonet["s2.b1.proj.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(values["head_fc/kernel"], risonet["head.fc.weight"].T)
    np.testing.assert_array_equal(
        values["s1_b2_f_a_relu/shift"], risonet["s1.b2.f.a_relu.srelu_bias"].ravel()
    )
    scale = risonet["s3.b1.f.shared_scalar.scale"].item()
    assert values["s3_b1_f_shared_scalar/scale"].item() == scale


def test_batch_norm_statistics_arrive_and_counters_do_not_matter(golden):
    original = Fixture(golden, "resnet18").state_dict
    values = named_values(load_state_dict(original, "resnet-18"))
    np.testing.assert_array_equal(values["stem_bn/gamma"], original["stem.bn.weight"])
    for ours, theirs in (("moving_mean", "running_mean"), ("moving_variance", "running_var")):
        found = values[f"s2_b1_f_b_bn/{ours}"]
        np.testing.assert_array_equal(found, original[f"s2.b1.f.b_bn.{theirs}"])


def test_the_classes_and_the_dtype_are_taken(risonet):
    few = _changed(risonet, head__fc__weight=np.ones((3, 64)), head__fc__bias=np.ones(3))
    model = load_state_dict(few, "r-isonet-20", dtype="mixed_bfloat16")
    assert model.architecture.classes == 3
    assert model.labels == ("0", "1", "2")
    assert model.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("conv1.weight", "stem.conv.weight"),
        ("bias1", "stem.bias.bias"),
        ("module.bias2", "head.bias.bias"),
        ("fc.bias", "head.fc.bias"),
        ("layer3.22.conv3.weight", "s3.b23.f.c.weight"),
        ("layer1.0.bias3b", "s1.b1.f.bias3b.bias"),
        ("module.layer4.0.downsample.weight", "s4.b1.proj.weight"),
        ("layer1.0.bn1.weight", "layer1.0.bn1.weight"),
    ],
)
def test_fixup_keys_are_translated(key, expected):
    assert official_key(key) == expected


def test_a_fixup_network_with_bottlenecks_is_read():
    shapes = {"conv1.weight": [64, 3, 7, 7], "bias1": [1], "bias2": [1]}
    shapes |= {"fc.weight": [5, 2048], "fc.bias": [5]}
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for block in range(blocks):
            kernels = {1: (inner, inputs, 1), 2: (inner, inner, 3), 3: (4 * inner, inner, 1)}
            prefix = f"layer{stage + 1}.{block}"
            for i, (out, into, side) in kernels.items():
                shapes[f"{prefix}.conv{i}.weight"] = [out, into, side, side]
                shapes |= {f"{prefix}.bias{i}a": [1], f"{prefix}.bias{i}b": [1]}
            shapes[f"{prefix}.scale"] = [1]
            if block == 0:
                shapes[f"{prefix}.downsample.weight"] = [4 * inner, inputs, 1, 1]
            inputs = 4 * inner
    drawn = keyed_state_dict(shapes)
    values = named_values(load_state_dict(drawn, "fixup-50"))
    assert values["s4_b1_bias1a/bias"].item() == drawn["layer4.0.bias1a"].item()
    assert values["s4_b3_f_bias3b/bias"].item() == drawn["layer4.2.bias3b"].item()
    kernel = drawn["layer2.0.downsample.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(values["s2_b1_proj/kernel"], kernel)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s9__b1__f__a__weight": np.ones((1, 1, 1, 1))}, r"1 keys without .*s9\.b1\.f\.a\.weight"),
        ({"s1__b1__f__a__bias": np.ones(16)}, r"1 keys without a variable \(s1\.b1\.f\.a\.bias\)"),
        ({"stem__relu__srelu_bias": None}, r"1 variables without a value \(stem_relu/shift\)"),
        ({"s1__b1__f__a__num_batches_tracked": 0}, "1 keys without a variable"),
        (
            {"stem__conv__weight": np.ones((16, 3, 5, 5))},
            r"stem\.conv\.weight \(16, 3, 5, 5\) for stem_conv/kernel \(3, 3, 3, 16\)",
        ),
        ({"stem__conv__weight": np.ones(432)}, r"1 keys of another shape \(stem\.conv\.weight"),
        (
            {"s1__b1__f__shared_scalar__scale": np.ones(2)},
            r"shared_scalar\.scale \(2,\) for s1_b1_f_shared_scalar/scale \(\)",
        ),
        (
            {"stem__relu__srelu_bias": np.full((1, 16, 1, 1), np.nan)},
            r"stem_relu/shift has 16 of 16 values that are NaN",
        ),
        ({"head__fc__bias": np.full(10, 1e300)}, r"head_fc/bias has 10 of 10 .* infinite"),
        ({"head__fc__bias": "ten"}, r"'head.fc.bias' is a str, not an array"),
        ({"head__fc__weight": None}, "no key 'head.fc.weight' or 'fc.weight'"),
        ({"module__head__fc__bias": np.ones(10)}, "two keys of the checkpoint mean 'head.fc.bias'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(risonet, changes, message):
    with pytest.raises(WeightsError, match=message):
        load_state_dict(_changed(risonet, **changes), "r-isonet-20")


def test_the_weights_of_another_network_are_refused_with_both_sides(risonet):
    with pytest.raises(
        WeightsError, match=r"not one of resnet-20: 28 keys .* 0 keys .* 84 variables without"
    ):
        load_state_dict(risonet, "resnet-20")


def test_an_unknown_network_is_refused(risonet):
    with pytest.raises(UnknownNameError, match="did you mean 'r-isonet-20'"):
        load_state_dict(risonet, "risonet-20")


def test_a_checkpoint_without_tensors_is_refused():
    with pytest.raises(WeightsError, match=r"no key .* \(found no keys\); give the checkpoint's"):
        load_state_dict({}, "r-isonet-20")


@pytest.mark.parametrize("shape", [(10**9, 1), (10, 63), (0, 64)])
def test_classes_without_features_build_no_network(risonet, shape, monkeypatch):
    monkeypatch.setattr(official, "Classifier", None)
    head = np.broadcast_to(np.float32(1), shape)
    message = rf"not one of r-isonet-20: its classifier has the shape \({shape[0]}, {shape[1]}\)"
    with pytest.raises(WeightsError, match=f"{message}, and the network 64 features"):
        load_state_dict({"fc.weight": head}, "r-isonet-20")


@pytest.mark.parametrize("name", ["isonet-8", "r-isonet-50", "fixup-20", "r-isonet-18-w32"])
def test_an_architecture_knows_its_features(name):
    described = isozoo.architecture(name)
    assert isozoo.create(name, classes=2).head.get_layer("head_fc").kernel.shape == (
        described.features,
        2,
    )


def test_what_was_read_is_what_answers(golden):
    original = Fixture(golden, "fixup_cifar20")
    model = load_state_dict({"net": original.state_dict}, "fixup-20")
    logits = keras.ops.convert_to_numpy(model(original.images, training=False))
    np.testing.assert_allclose(logits, original.arrays["logits_f64"], rtol=0, atol=1e-4)
