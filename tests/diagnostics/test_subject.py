"""What is measured: found by name, in a run's folder, or built anew."""

import keras
import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.diagnostics.subject import draw, is_run, open_subject, untrained
from isozoo.errors import DataError, DiagnosticsError, UnknownNameError
from isozoo.models.folder import write_folder
from isozoo.training.checkpoint import Checkpoints, Position
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
