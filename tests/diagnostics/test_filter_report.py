"""What filters do on a data set."""

import json

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics import responses
from isozoo.diagnostics.filter_report import FilterReport, filters, filters_cost
from isozoo.diagnostics.responses import Tally, entropy
from isozoo.errors import DiagnosticsError
from isozoo.layers import SReLU

layers = keras.layers


def network(*parts):
    return keras.Sequential([keras.Input((2, 2, 3)), *parts], name="net")


#: Three channels: one below every floor, one on both sides, one above.
IMAGES = np.array([[-3.0, -3.0, 2.0], [-2.5, 3.0, 4.0]], "float32")[:, None, None] * np.ones(
    (2, 2, 2, 3), "float32"
)


def test_dead_under_relu_is_zero_and_under_srelu_the_shift():
    found = filters(network(SReLU(name="srelu"), layers.ReLU(name="relu")), IMAGES)
    srelu, relu = found.layers
    assert srelu.dead.tolist() == [True, False, False]
    assert srelu.floor.tolist() == [-1, -1, -1]
    assert srelu.maximum.tolist() == [-1, 3, 4]
    assert srelu.on.tolist() == [0.0, 0.5, 1.0]
    assert srelu.always_on.tolist() == [False, False, True]
    assert relu.dead.tolist() == [True, False, False]
    assert found.dead == {"srelu": (0,), "relu": (0,)}


def test_activations_without_a_floor_are_dead_if_they_hardly_change():
    found = filters(network(layers.Activation("gelu", name="gelu")), IMAGES, tolerance=0.01)
    (row,) = found.layers
    assert row.kind == "gelu"
    assert row.on is None
    assert row.always_on is None
    # gelu(-3) and gelu(-2.5) differ by 0.01.
    assert row.dead.tolist() == [True, False, False]
    assert filters(network(layers.Activation("gelu")), IMAGES, tolerance=1e-4).dead == {}


def test_activations_inside_of_layers_and_plain_operations_are_found():
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(2, 1, activation="relu", name="conv")(inputs)
    x = layers.Flatten()(keras.ops.silu(x))
    x = layers.Dense(4, activation="softmax", name="head")(x)
    found = filters(keras.Model(inputs, x), IMAGES)
    assert [row.kind for row in found.layers] == ["relu", "Silu"]
    assert found.unread == ("head (softmax)",)


def test_what_may_be_an_activation_of_another_kind_is_named():
    class Swish(layers.Layer):
        def call(self, x):
            return x * keras.ops.sigmoid(2.0 * x)

    inputs = keras.Input((4, 3))
    x = layers.Conv1D(3, 1, activation="relu", name="line")(inputs)
    x = Swish(name="own")(layers.Dropout(0.5)(layers.Activation("linear")(x + 1.0)))
    x = keras.ops.maximum(x, 0.0)
    x = layers.EinsumDense("abc,cd->abd", (None, 2), activation="tanh", name="sums")(x)
    found = filters(keras.Model(inputs, keras.ops.softplus(x)), np.zeros((1, 4, 3)))
    assert [row.kind for row in found.layers] == ["Softplus"]
    assert found.unread[:2] == ("line (Conv1D with relu)", "own (Swish)")
    assert found.unread[2].endswith(" (Maximum)")
    assert found.unread[3:] == ("sums (EinsumDense with tanh)",)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_in_mixed_precision_the_floor_is_rounded_as_the_outputs_are(dtype):
    srelu = SReLU(shift_initializer=keras.initializers.Constant(-1.001), dtype=dtype, name="srelu")
    (row,) = filters(network(srelu), IMAGES).layers
    assert row.dead.tolist() == [True, False, False]
    assert row.on.tolist() == [0.0, 0.5, 1.0]
    assert row.always_on.tolist() == [False, False, True]
    assert row.floor[0] == row.minimum[0] != -1.001


def test_channels_first_are_counted_along_their_axis():
    model = keras.Sequential(
        [
            keras.Input((3, 2, 2)),
            layers.ZeroPadding2D(0, data_format="channels_first"),
            layers.ReLU(name="relu"),
        ]
    )
    found = filters(model, IMAGES.transpose(0, 3, 1, 2))
    assert found.layer("relu").dead.tolist() == [True, False, False]


def test_batches_are_added_up():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(7, 32, 32, 3)).astype("float32")
    model = Classifier(architecture("r-isonet-8", classes=2))
    whole = filters(model, images)
    parts = filters(model, [(images[:3], None), images[3:]])
    assert whole.images == parts.images == 7
    for one, other in zip(whole.layers, parts.layers, strict=True):
        np.testing.assert_array_equal(one.on, other.on)
        np.testing.assert_allclose(one.entropy, other.entropy, atol=0.3)
        np.testing.assert_allclose(one.maximum, other.maximum, rtol=1e-5)


def test_responses_are_thinned_evenly(monkeypatch):
    monkeypatch.setattr(responses, "REMEMBERED", 4)
    tally = Tally(0.0)
    for start in range(0, 21, 3):
        tally.add(np.arange(start, start + 3, dtype="float32").reshape(3, 1, 1))
    assert np.concatenate(tally._responses).tolist() == [0, 8, 16]


def test_entropy_is_that_of_the_histogram():
    uniform = np.arange(64.0)
    responses = np.stack([uniform, np.full(64, 3.0), np.repeat([0.0, 1.0], 32)], axis=1)
    np.testing.assert_allclose(entropy(responses), [5.0, 0.0, 1.0])


def test_results_are_saved_read_and_shown(tmp_path):
    found = filters(network(SReLU(name="srelu"), layers.ELU(name="elu")), IMAGES, "a net")
    found.save(tmp_path)
    again = FilterReport.read(tmp_path / "filters.json")
    assert again.to_json() == json.loads(json.dumps(found.to_json()))
    assert found.table().row_count == 3
    # What SReLU holds at its shift does not change under ELU either.
    assert found.table().columns[3]._cells == ["1", "1", "2"]


def test_what_cannot_be_measured_is_said():
    with pytest.raises(DiagnosticsError, match=r"could be told, .* but none at all; give"):
        filters(network(layers.MaxPooling2D()), IMAGES)
    with pytest.raises(DiagnosticsError, match=r"but soft \(Softmax\); give"):
        filters(network(layers.Softmax(name="soft")), IMAGES)
    with pytest.raises(DiagnosticsError, match="on no images"):
        filters(network(layers.ReLU()), [])
    with pytest.raises(
        DiagnosticsError, match=r"asked for the filters of nothing, found those of relu"
    ):
        filters(network(layers.ReLU(name="relu")), IMAGES).layer("nothing")


def test_the_cost_is_one_pass():
    cost = filters_cost(Classifier(architecture("isonet-8", classes=2)), images=100, batch=64)
    assert (cost.passes, cost.batch) == (2, 64)
