"""Steps: in order, of any functional model, computing what the model computes."""

import re
import weakref

import keras
import numpy as np
import pytest
from keras import layers, ops

from isozoo import Classifier, architecture
from isozoo.diagnostics import steps, stream
from isozoo.diagnostics.taps import graph, play
from isozoo.errors import DiagnosticsError, UnknownNameError


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def values(model):
    return [np.array(ops.convert_to_numpy(v)) for v in model.variables]


def last(walk):
    *_, (_, _, output) = walk
    return ops.convert_to_numpy(output)


@pytest.fixture(scope="module")
def resnet():
    return Classifier(architecture("resnet-8", classes=3, dropout=0.5))


@pytest.fixture(scope="module")
def twin():
    """A model that is called on two tensors and uses its layer twice, inside of another."""
    left, right = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    pair = keras.Model([left, right], shared(left) - shared(right) * 2.0, name="pair")
    x = keras.Input((4,))
    return keras.Model(x, pair([x, ops.tanh(x)]))


def test_the_last_step_makes_the_models_output(resnet):
    x = drawn(2, 32, 32, 3)
    np.testing.assert_array_equal(last(stream(resnet, x)), resnet(x, training=False))
    (played,) = play(graph(resnet), x)
    np.testing.assert_array_equal(played, resnet(x, training=False))


def test_what_is_computed_in_training_leaves_no_trace(resnet):
    x, before = drawn(2, 32, 32, 3), values(resnet)
    trained = last(stream(resnet, x, training=True))
    np.testing.assert_array_equal(last(stream(resnet, x, training=True)), trained)
    assert np.abs(trained - resnet(x, training=False)).max() > 1e-3
    np.testing.assert_equal(values(resnet), before)


def test_the_walk_leaves_the_layers_as_they_are(resnet):
    layer = resnet.backbone.get_layer("stem_conv")
    tensor = layer.output
    for _ in range(2):
        steps(resnet)
    assert layer.output is tensor
    # A second call in a graph would have made it a shared layer.
    assert [s.name for s in steps(resnet)].count("backbone/stem_conv") == 1
    assert not any(":" in step.name for step in steps(resnet))


def test_nested_models_shared_layers_and_plain_operations_are_steps(twin):
    found = {step.name: step for step in steps(twin)}
    # Keras numbers plain operations.
    assert [re.sub(r"_\d+$", "", name) for name in found] == [
        "tanh", "pair/shared", "pair/shared:2", "pair/multiply", "pair/subtract",
    ]  # fmt: skip
    tanh = next(iter(found))
    assert found["pair/shared"].operation is found["pair/shared:2"].operation
    assert found["pair/shared:2"].inputs == found[tanh].outputs
    x = drawn(3, 4)
    np.testing.assert_allclose(last(stream(twin, x)), twin(x), atol=1e-7)


def test_a_sequential_model_in_another_is_flattened():
    inner = keras.Sequential([layers.Conv2D(2, 3, name="conv")], name="inner")
    model = keras.Sequential([keras.Input((5, 5, 3)), inner, layers.Flatten(name="flat")])
    assert [(s.name, s.kind, s.shape) for s in steps(model)] == [
        ("inner/conv", "Conv2D", (None, 3, 3, 2)),
        ("flat", "Flatten", (None, 18)),
    ]


def test_only_the_named_steps_are_handed_out(twin):
    tanh = steps(twin)[0].name
    found = list(stream(twin, drawn(3, 4), names=["pair/shared:2", tanh]))
    assert [step.name for step, _, _ in found] == [tanh, "pair/shared:2"]
    (taken,) = found[1][1]
    np.testing.assert_array_equal(taken, found[0][2])
    with pytest.raises(UnknownNameError, match="did you mean 'pair/shared'"):
        next(stream(twin, drawn(3, 4), names=["pair/share"]))


def test_tensors_are_dropped_after_their_last_use():
    x = keras.Input((4,))
    y = x
    for number in range(6):
        y = layers.Activation("tanh", name=f"a{number}")(y)
    made, most = [], 0
    for _, _, output in stream(keras.Model(x, y), drawn(2, 4)):
        made.append(weakref.ref(output))
        del output
        most = max(most, sum(reference() is not None for reference in made))
    # What a step takes, what it makes, and what came before it until the loop goes on.
    assert most <= 3


def test_a_step_can_be_changed(twin):
    x = drawn(3, 4)
    (found,) = play(graph(twin), x, change=lambda s, y: 0.0 * y if s.kind == "Tanh" else y)
    dense = graph(twin).step("pair/shared").operation
    np.testing.assert_allclose(found, dense(x) - 2 * dense(0 * x), atol=1e-6)


class Subclassed(keras.Model):
    def call(self, x):
        return x


class OwnCall(keras.Model):
    """Has a graph, and computes something else."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


def test_a_model_without_a_graph_is_named():
    with pytest.raises(DiagnosticsError, match="lonely is a Subclassed, whose layers"):
        steps(Subclassed(name="lonely"))
    x = keras.Input((2,))
    with pytest.raises(DiagnosticsError, match="is a OwnCall"):
        steps(OwnCall(x, layers.ReLU()(x)))


def test_a_nested_model_with_code_of_its_own_is_one_step():
    x = keras.Input((2,))
    odd = OwnCall(x, layers.ReLU()(x), name="odd")
    model = keras.Model(x, odd(x))
    (step,) = steps(model)
    assert (step.name, step.kind) == ("odd", "OwnCall")
    np.testing.assert_array_equal(last(stream(model, drawn(3, 2))), model(drawn(3, 2)))


def test_the_wrong_number_of_arrays_is_refused(twin):
    with pytest.raises(DiagnosticsError, match="takes 1 inputs, got 2 arrays"):
        next(stream(twin, [drawn(1, 4), drawn(1, 4)]))


@pytest.mark.slow
def test_a_network_of_keras_applications():
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3))
    x = drawn(1, 64, 64, 3)
    np.testing.assert_array_equal(last(stream(model, x)), model(x, training=False))
    assert len(steps(model)) == len(model.layers) - 1


@pytest.mark.kerashub
def test_a_backbone_of_kerashub():
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        [64], [3], [64], [1], [1], "basic_block", image_shape=(32, 32, 3)
    )
    x = drawn(1, 32, 32, 3)
    np.testing.assert_array_equal(last(stream(backbone, x)), backbone(x, training=False))
