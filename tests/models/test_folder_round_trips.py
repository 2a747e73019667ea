"""What is written in a weights folder comes back."""

import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import isozoo
from isozoo.errors import UnknownNameError, WeightsError
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.golden import golden_difference
from isozoo.models.manifest import read_manifest
from isozoo.models.variables import named_values, named_variables
from tests.models.conftest import IMAGES, assert_same, network

# Round trips


def test_every_variable_comes_back_bit_by_bit(folder, model):
    loaded = load_folder(folder)
    assert_same(named_values(loaded), named_values(model))
    assert loaded.labels == model.labels
    assert loaded.architecture == model.architecture
    assert loaded.load_report.assigned == tuple(named_variables(model))
    assert loaded.load_report.fresh == ()
    assert loaded.load_report.source == str(folder)
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16", "float64"])
def test_other_dtypes_come_back_bit_by_bit(dtype, tmp_path):
    model = network(dtype=dtype)
    write_folder(model, tmp_path / "out")
    loaded = load_folder(tmp_path / "out")
    assert loaded.dtype_policy.name == dtype
    assert_same(named_values(loaded), named_values(model))


def test_the_dtype_can_be_chosen_when_loading(folder, model):
    loaded = isozoo.load(folder, dtype="mixed_bfloat16")
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert_same(named_values(loaded), named_values(model))
    half = isozoo.load(folder, dtype="float16")
    assert named_values(half)["stem_conv/kernel"].dtype == np.float16
    assert half.load_report.assigned == tuple(named_variables(model))


def test_a_stored_value_out_of_the_range_of_the_dtype_is_refused(tmp_path):
    large = network()
    large.head.get_layer("head_fc").bias.assign([1e5, 0.0, 0.0])
    write_folder(large, tmp_path / "out")
    with pytest.raises(WeightsError, match=r"head_fc/bias .* out of the range of float16"):
        isozoo.load(tmp_path / "out", dtype="float16")
    with pytest.raises(TypeError, match="dtype"):
        load_folder(tmp_path / "out", dtype="float16")  # pyright: ignore[reportCallIssue]


def test_the_data_format_can_be_chosen_on_both_sides(model, tmp_path):
    first = network(data_format="channels_first")
    write_folder(first, tmp_path / "out")
    assert read_manifest(tmp_path / "out").input_shape == (None, None, 3)
    last = load_folder(tmp_path / "out", data_format="channels_last")
    assert_same(named_values(last), named_values(first))
    np.testing.assert_array_equal(last(IMAGES), model(IMAGES))
    again = load_folder(tmp_path / "out", data_format="channels_first")
    assert again.backbone.input_shape == (None, 3, None, None)
    assert_same(named_values(again), named_values(first))


@pytest.mark.parametrize("name", ["resnet-8", "resnet-bin-8", "vanilla-8", "fixup-8"])
def test_every_kind_of_variable_comes_back(name, tmp_path):
    model = network(name)
    write_folder(model, tmp_path / "out")
    loaded = load_folder(tmp_path / "out")
    assert_same(named_values(loaded), named_values(model))
    assert golden_difference(loaded, tmp_path / "out") == 0.0


def test_a_fixed_input_shape_comes_back_and_can_be_replaced(tmp_path):
    write_folder(network(input_shape=(48, 40, 3)), tmp_path / "out")
    assert load_folder(tmp_path / "out").input_shape == (None, 48, 40, 3)
    wider = isozoo.load(tmp_path / "out", input_shape=(64, 64, 3))
    assert (wider.input_shape, wider.preprocessing.size) == ((None, 64, 64, 3), 64)
    assert golden_difference(load_folder(tmp_path / "out"), tmp_path / "out") == 0.0
    with pytest.raises(ValueError, match=r"\(32, 32, 1\) does not fit a network of 3 input chan"):
        isozoo.load(tmp_path / "out", input_shape=(32, 32, 1))


def test_images_of_another_shape_are_refused_by_the_loaded_model(folder):
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
        load_folder(folder)(np.zeros((1, 32, 32, 1), "float32"))


def test_the_stored_answer_is_the_loaded_models(folder):
    loaded = load_folder(folder)
    assert golden_difference(loaded, folder) == 0.0
    loaded.head.get_layer("head_fc").bias.assign_add([0.0, 0.25, 0.0])
    assert golden_difference(loaded, folder) == pytest.approx(0.25)


def test_the_stored_answer_is_in_float32_whatever_the_model_computes_in(tmp_path):
    write_folder(network(dtype="mixed_bfloat16"), tmp_path / "out")
    precise = isozoo.load(tmp_path / "out", dtype="float32")
    assert golden_difference(precise, tmp_path / "out") == 0.0


def test_keras_alone_reads_the_backbone_in_a_fresh_process(folder, model, tmp_path):
    program = (
        "import isozoo, keras, numpy as np, sys\n"
        "backbone = keras.saving.load_model(sys.argv[1])\n"
        "assert type(backbone) is isozoo.Backbone, type(backbone)\n"
        "images = np.load(sys.argv[2])\n"
        "np.save(sys.argv[3], keras.ops.convert_to_numpy(backbone(images)))\n"
    )
    np.save(tmp_path / "images.npy", IMAGES)
    places = (folder, tmp_path / "images.npy", tmp_path / "maps.npy")
    subprocess.run([sys.executable, "-c", program, *map(str, places)], check=True)
    np.testing.assert_array_equal(np.load(places[2]), model.backbone(IMAGES))


def test_keras_alone_reads_the_backbone_with_nothing_lost(folder, model):
    backbone = keras.saving.load_model(folder)
    assert isinstance(backbone, Backbone)
    assert backbone.pyramid_outputs.keys() == model.backbone.pyramid_outputs.keys()
    for found, expected in zip(backbone.weights, model.backbone.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_classifier_saves_and_loads_itself(model, tmp_path):
    model.save_pretrained(tmp_path / "out")
    loaded = Classifier.from_pretrained(tmp_path / "out")
    assert_same(named_values(loaded), named_values(model))
    assert read_manifest(tmp_path / "out").full_name == "r-isonet-8"


def test_numbers_stored_as_float16_are_those_of_the_rounded_network(model, tmp_path):
    folder = tmp_path / "half"
    manifest = write_folder(model, folder, tag="cats", storage="float16")
    assert (manifest.storage, manifest.dtype) == ("float16", "float32")
    with h5py.File(folder / "model.weights.h5") as stored:
        kinds = set()
        stored.visititems(lambda _, item: kinds.add(getattr(item, "dtype", None)))
    assert kinds - {None} == {np.dtype("float16")}
    loaded = load_folder(folder)
    for name, value in named_values(model).items():
        found = named_values(loaded)[name]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, value.astype("float16").astype("float32"))
    again = write_folder(loaded, tmp_path / "again")
    assert (again.storage, again.tag) == ("float16", "cats")
    assert again.files["model.weights.h5"].size == manifest.files["model.weights.h5"].size
    assert "Its files hold float16 numbers" in (folder / "README.md").read_text()


def test_what_was_said_of_unrounded_weights_is_not_said_of_rounded_ones(model, tmp_path):
    write_folder(model, tmp_path / "whole", tag="cats", metrics={"top1": 0.5})
    loaded = load_folder(tmp_path / "whole")
    rounded = write_folder(loaded, tmp_path / "half", storage="float16")
    assert (rounded.tag, rounded.metrics) == (None, {})


def test_only_known_storage_is_written(model, tmp_path):
    with pytest.raises(UnknownNameError, match="storage"):
        write_folder(model, tmp_path / "new", storage="float8")
    assert not (tmp_path / "new").exists()
