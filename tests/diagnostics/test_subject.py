"""What is measured: found by name, in a run's folder, or built anew."""

import random
import tomllib

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics.subject import Subject, draw, is_run, open_subject, untrained
from isozoo.errors import DataError, DiagnosticsError, UnknownNameError
from isozoo.models.folder import write_folder
from isozoo.training.checkpoint import Checkpoints, Position
from isozoo.training.optimizers import TorchSGD
from isozoo.training.recipe import Recipe
from tests.diagnostics.pictures import write_data, write_run


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


def first_weights(model):
    return keras.ops.convert_to_numpy(model.weights[0])


def test_an_architecture_is_built_the_same_for_the_same_seed(data):
    one, other = (open_subject("resnet-8", data, images=4, fresh=True) for _ in range(2))
    assert one.label == "resnet-8, untrained"
    assert one.images.shape == (4, 32, 32, 3)
    assert sorted(one.labels) == [0, 0, 1, 1]
    np.testing.assert_array_equal(first_weights(one.model), first_weights(other.model))
    with pytest.raises(UnknownNameError, match="did you mean 'resnet-8'"):
        open_subject("resnet-9x", data, images=4, fresh=True)


def test_a_run_is_measured_by_its_newest_checkpoint_then_its_weights(data, tmp_path):
    run = write_run(tmp_path)
    assert is_run(run)
    with pytest.raises(DiagnosticsError, match=r"neither weights nor a checkpoint.*--fresh"):
        open_subject(run, data, images=2)
    model = Classifier(architecture("r-isonet-8", classes=2), ["blue", "red"])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    for position in (Position(1), Position(2)):
        model.weights[0].assign(model.weights[0] + 1.0)
        Checkpoints(run / "checkpoints").save(model, position, {})
    found = open_subject(run, data, images=2)
    assert (found.label, found.learning_rate) == ("r-isonet-8.colours", 0.05)
    assert found.images.shape == (2, 16, 16, 3)
    np.testing.assert_array_equal(first_weights(found.model), first_weights(model))
    model.weights[0].assign(model.weights[0] + 1.0)
    write_folder(model, run / run.name, tag="colours")
    again = open_subject(run, data, images=2)
    np.testing.assert_array_equal(first_weights(again.model), first_weights(model))
    assert not is_run(run / run.name)
    assert open_subject(run, data, images=2, fresh=True).label == "r-isonet-8.colours, untrained"


def test_data_of_other_classes_are_refused(data, tmp_path):
    model = Classifier(architecture("r-isonet-8", classes=2), ["cat", "dog"])
    model.save_pretrained(tmp_path / "pets")
    with pytest.raises(DataError, match=r"has the classes blue, red.*trained on cat, dog"):
        open_subject(tmp_path / "pets", data, images=2)


def test_images_are_drawn_from_all_classes_in_turn(data):
    from isozoo.data import open_split

    samples = open_split(data, "val")
    assert sorted(draw(samples, 6)) == list(range(6))
    assert sorted(samples.labels[draw(samples, 2)]) == [0, 1]
    assert draw(samples, 6, seed=1).tolist() != draw(samples, 6, seed=2).tolist()
    with pytest.raises(DataError, match="asked for 7 images of a split that has 6"):
        draw(samples, 7)


def test_an_untrained_network_drops_nothing():
    model = untrained(architecture("r-isonet-8", classes=2), ["a", "b"])
    assert model.architecture.dropout == 0


def test_building_a_network_leaves_random_generators_as_they_were():
    states = random.getstate(), np.random.get_state()[1].tolist()
    model = untrained(architecture("resnet-8", classes=2), ["a", "b"], seed=3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    keras.utils.set_random_seed(3)
    same = Classifier(architecture("resnet-8", classes=2), ["a", "b"])
    for one, other in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_untrained_are_the_network_before_its_training(data, tmp_path):
    run = write_run(tmp_path)
    recipe = (run / "recipe.toml").read_text() + "\n"
    text = recipe.replace('tag = "colours"', 'tag = "colours"\nseed = 5')
    plan = Recipe.from_dict(tomllib.loads(text))
    arch = plan.architecture(2).replace(residual_scale=0.5)
    trained = Classifier(arch, ["blue", "red"], plan.preparation())
    write_folder(trained, tmp_path / "w", tag="colours", recipe=text)
    state = random.getstate()
    found = open_subject(tmp_path / "w", data, images=2, fresh=True)
    assert random.getstate() == state
    before = untrained(arch, ["blue", "red"], plan.preparation(), seed=5)
    assert found.label == "w, untrained"
    assert found.images.shape == (2, 16, 16, 3)
    assert found.model.architecture.residual_scale == 0.5
    np.testing.assert_array_equal(first_weights(found.model), first_weights(before))


def test_a_step_is_that_of_the_recipe_and_leaves_the_network_uncompiled(data, tmp_path):
    found = open_subject(write_run(tmp_path), data, images=2, fresh=True)
    optimizer = found.compiled.optimizer
    assert isinstance(optimizer, TorchSGD)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)
    assert not found.model.compiled
    assert found.compiled.trainable_variables[0] is found.model.trainable_variables[0]


def small(classes=2):
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.Flatten()(x)))


def test_a_file_of_keras_is_measured(data, tmp_path):
    model = small()
    model.save(tmp_path / "own.keras")
    found = open_subject(tmp_path / "own.keras", data, images=2)
    assert (found.label, found.images.shape) == ("own", (2, 12, 12, 3))
    np.testing.assert_array_equal(first_weights(found.model), first_weights(model))
    fresh = open_subject(tmp_path / "own.keras", data, images=2, fresh=True)
    assert fresh.label == "own, untrained"
    assert np.any(first_weights(fresh.model) != first_weights(model))
    small(classes=5).save(tmp_path / "five.keras")
    with pytest.raises(DataError, match=r"has 2 classes, and .* gives 5 numbers"):
        open_subject(tmp_path / "five.keras", data, images=2)
    with pytest.raises(DiagnosticsError, match=r"no file .*none\.keras"):
        open_subject(tmp_path / "none.keras", data, images=2)


def test_results_of_images_of_another_shape_are_not_stood_beside(tmp_path):
    one, other = (
        Subject(name, small(), np.zeros((2, size, size, 3)), np.zeros(2))
        for name, size in (("small", 12), ("large", 24))
    )
    one.check_beside(tmp_path)
    one.note(tmp_path)
    one.check_beside(tmp_path)
    with pytest.raises(DiagnosticsError, match=r"of small on images \[2, 12.*large would be on"):
        other.check_beside(tmp_path)
