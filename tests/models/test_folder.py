"""The weights folder: what is written comes back, and nothing else is accepted."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.data.preprocessing import IMAGENET
from isozoo.errors import WeightsError
from isozoo.files import FileRecord
from isozoo.models import architecture
from isozoo.models.backbone import Backbone
from isozoo.models.classifier import Classifier
from isozoo.models.folder import load_folder, write_folder
from isozoo.models.golden import golden_difference
from isozoo.models.manifest import (
    CARD,
    CONFIG,
    ENCODER,
    FORMAT,
    GOLDEN,
    HEAD,
    LOG,
    MANIFEST,
    METADATA,
    OPTIONAL,
    RECIPE,
    REQUIRED,
    Manifest,
    read_manifest,
)
from isozoo.models.variables import named_values, named_variables

IMAGES = np.linspace(-1, 1, 2 * 32 * 32 * 3, dtype="float32").reshape(2, 32, 32, 3)


def network(name="r-isonet-8", **options):
    """Return a small network with every variable away from its usual start."""
    model = Classifier(architecture(name, classes=3), labels=["cat", "dog", "owl"], **options)
    random = np.random.default_rng(0)
    for variable in named_variables(model).values():
        values = 0.1 * random.standard_normal(variable.shape)
        variable.assign(abs(values) if variable.name == "moving_variance" else values)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def original(model, tmp_path_factory):
    """A folder with every file a folder can have."""
    path = tmp_path_factory.mktemp("original") / "cats"
    write_folder(
        model,
        path,
        tag="cats",
        metrics={"top1": 0.75},
        licence="MIT",
        recipe="epochs = 2\n",
        log=[{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}],
        card=lambda manifest, log: f"# {manifest.full_name} after {len(log)} epochs\n",
    )
    return path


@pytest.fixture
def folder(original, tmp_path):
    """A copy of that folder, to damage."""
    return shutil.copytree(original, tmp_path / "cats")


def rewrite(folder, change):
    """Apply a change to `isozoo.json`."""
    path = folder / MANIFEST
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def bless(folder, *names):
    """Make `isozoo.json` agree with the named files, as someone who edits a folder might."""

    def change(data):
        for name in names:
            record = FileRecord.of(folder / name)
            data["files"][name] = {"size": record.size, "sha256": record.sha256}

    rewrite(folder, change)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


# What is written


def test_a_folder_holds_the_preset_and_what_describes_it(folder, model):
    assert {path.name for path in folder.iterdir()} == {*REQUIRED, *OPTIONAL, MANIFEST}
    assert (folder / RECIPE).read_text() == "epochs = 2\n"
    assert [json.loads(line)["loss"] for line in (folder / LOG).read_text().splitlines()] == [2, 1]
    assert (folder / CARD).read_text() == "# r-isonet-8.cats after 2 epochs\n"
    config = json.loads((folder / CONFIG).read_text())
    assert config["registered_name"] == "isozoo>Backbone"
    # Other loaders take a file with these keys for their own.
    assert not {"architecture", "model_type", "compile_config"} & config.keys()
    assert json.loads((folder / METADATA).read_text())["keras_version"] == keras.__version__


def test_the_manifest_describes_the_network_and_every_other_file(folder, model):
    manifest = read_manifest(folder)
    assert manifest.full_name == "r-isonet-8.cats"
    assert manifest.architecture == model.architecture
    assert manifest.labels == ("cat", "dog", "owl")
    assert manifest.preprocessing == model.preprocessing
    assert manifest.metrics == {"top1": 0.75}
    assert manifest.licence == "MIT"
    assert manifest.dtype == "float32"
    assert manifest.input_shape == (None, None, 3)
    assert manifest.parameters == model.count_params()
    assert manifest.variables["s2_b1_proj/kernel"] == (1, 1, 16, 32)
    assert set(manifest.files) == {*REQUIRED, *OPTIONAL}
    for name, record in manifest.files.items():
        assert record == FileRecord.of(folder / name)


def test_a_manifest_survives_its_own_text(folder):
    manifest = read_manifest(folder)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert '"s2_b1_proj/kernel": [1, 1, 16, 32]' in manifest.to_json()


def test_the_same_model_is_written_as_the_same_bytes(model, tmp_path):
    first, second = (write_folder(model, tmp_path / name, tag="t") for name in "ab")
    assert first == second


def test_moving_statistics_are_not_counted_as_parameters(tmp_path):
    model = network("resnet-8")
    manifest = write_folder(model, tmp_path / "out")
    moving = sum(v.shape[0] for v in model.variables if v.name.startswith("moving_"))
    assert manifest.parameters == model.count_params() - moving
    assert "stem_bn/moving_variance" in manifest.variables


def test_a_compiled_model_leaves_no_trace_of_its_training(model, tmp_path):
    trained = network()
    trained.backbone.compile("sgd", "mse")
    first, second = write_folder(model, tmp_path / "a"), write_folder(trained, tmp_path / "b")
    assert first == second


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
    loaded = load_folder(folder, dtype="mixed_bfloat16")
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert_same(named_values(loaded), named_values(model))
    half = load_folder(folder, dtype="float16")
    assert named_values(half)["stem_conv/kernel"].dtype == np.float16
    assert half.load_report.assigned == tuple(named_variables(model))


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
    wider = load_folder(tmp_path / "out", input_shape=(64, 64, 3))
    assert wider.input_shape == (None, 64, 64, 3)
    assert golden_difference(load_folder(tmp_path / "out"), tmp_path / "out") == 0.0
    with pytest.raises(ValueError, match=r"\(32, 32, 1\) does not fit a network of 3 input chan"):
        load_folder(tmp_path / "out", input_shape=(32, 32, 1))


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
    precise = load_folder(tmp_path / "out", dtype="float32")
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


# Replacing, and failing to


DESCRIPTION = {
    "tag": "dogs",
    "metrics": {"top1": 0.5},
    "recipe": "epochs = 1\n",
    "log": [{"epoch": 1, "loss": 3.0}],
}


@pytest.mark.parametrize(
    ("option", "lost"), list(zip(DESCRIPTION, ("tag", "metrics", RECIPE, LOG), strict=True))
)
def test_a_trained_folder_is_not_replaced_by_one_that_says_less(folder, model, option, lost):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    given = {name: value for name, value in DESCRIPTION.items() if name != option}
    with pytest.raises(WeightsError, match=f"would lose its {lost}; give another directory"):
        write_folder(model, folder, **given)
    with pytest.raises(WeightsError, match=f"lose its tag, metrics, {RECIPE}, {LOG}; give"):
        model.save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_says_nothing_of_its_training_is_replaced(model, tmp_path):
    network("isonet-8").save_pretrained(tmp_path / "out")
    model.save_pretrained(tmp_path / "out")
    assert_same(named_values(load_folder(tmp_path / "out")), named_values(model))


def test_a_damaged_folder_is_mended_by_writing_it_again(folder, model):
    (folder / MANIFEST).write_text("{")
    write_folder(model, folder, recipe="epochs = 2\n", log=DESCRIPTION["log"])
    assert_same(named_values(load_folder(folder)), named_values(model))


def test_the_tilde_is_the_home_folder_in_both_directions(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("~/out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert_same(named_values(Classifier.from_pretrained("~/out")), named_values(model))


def test_a_folder_is_replaced_by_the_new_one(folder):
    other = network("isonet-8")
    write_folder(other, folder, **DESCRIPTION)
    assert not (folder / CARD).exists()
    assert_same(named_values(load_folder(folder)), named_values(other))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("place", ["encoder", "manifest"])
def test_a_full_disk_leaves_the_old_folder_and_no_rest(folder, model, monkeypatch, place):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fill(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = (Backbone, "save_weights") if place == "encoder" else (Manifest, "to_json")
    monkeypatch.setattr(*target, fill)
    with pytest.raises(OSError, match="No space left"):
        write_folder(network("isonet-8"), folder, **DESCRIPTION)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_folder_with_other_files_is_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("unsaved")
    with pytest.raises(WeightsError, match=r"it would replace thesis.tex.*choose another place"):
        write_folder(model, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "unsaved"


@pytest.mark.parametrize("names", [[CARD], [CONFIG, METADATA, ENCODER, HEAD]])
def test_a_folder_without_a_manifest_is_somebody_elses(model, tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("theirs")
    with pytest.raises(WeightsError, match=rf"it would replace {min(names)}.*choose another place"):
        model.save_pretrained(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "theirs"
    )


def test_a_file_is_not_replaced(model, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotADirectoryError, match="a file of that name exists"):
        write_folder(model, tmp_path / "out")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_not_written(bad, tmp_path):
    model = network()
    model.head.get_layer("head_fc").bias.assign([0.0, bad, 0.0])
    with pytest.raises(WeightsError, match=r"head_fc/bias has 1 of 3 values that are NaN or inf"):
        write_folder(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"metrics": {"top1": float("nan")}}, {"log": [{"loss": float("inf")}]}]
)
def test_numbers_that_json_cannot_say_are_not_written(model, tmp_path, options):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_folder(model, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


# Damaged files


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=f"lacks {name}, .* bytes; fetch the folder again"):
        load_folder(folder)


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
def test_a_flipped_bit_is_found(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(
        WeightsError, match=f"{name} is corrupt or changed: expected sha256 [0-9a-f]"
    ):
        load_folder(folder)


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
@pytest.mark.parametrize("size", [0, 10])
def test_a_truncated_file_is_found(folder, name, size):
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    with pytest.raises(WeightsError, match=f"{name} is truncated .* bytes, found {size};"):
        load_folder(folder)


def test_no_folder_and_no_manifest_are_told_apart(folder, tmp_path):
    with pytest.raises(WeightsError, match=r"no weights folder at .*nowhere; check the path"):
        load_folder(tmp_path / "nowhere")
    (folder / MANIFEST).unlink()
    with pytest.raises(WeightsError, match=r"has no isozoo.json \(found README.md, config.json"):
        load_folder(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"has no isozoo.json \(found nothing\)"):
        load_folder(tmp_path / "empty")


def test_pinned_files_are_checked_before_the_manifest_is_believed(folder):
    pins = {path.name: FileRecord.of(path) for path in folder.iterdir()}
    assert load_folder(folder, pins=pins).labels == ("cat", "dog", "owl")
    rewrite(folder, lambda data: data.update(labels=["owl", "dog", "cat"]))
    with pytest.raises(WeightsError, match=r"isozoo.json is truncated or changed"):
        load_folder(folder, pins=pins)


# Weight files that hash as the manifest says, and still are not the weights


@pytest.mark.parametrize("name", [ENCODER, HEAD])
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", b"\x89HDF\r\n\x1a\n"],
    ids=["empty", "HTML", "header only"],
)
def test_what_is_not_a_weight_file_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    bless(folder, name)
    with pytest.raises(WeightsError, match=f"{name} does not hold the weights of this"):
        load_folder(folder)


@pytest.mark.parametrize("size", [0.5, 0.99])
def test_a_truncated_weight_file_is_refused_even_when_listed(folder, size):
    data = (folder / ENCODER).read_bytes()
    (folder / ENCODER).write_bytes(data[: int(len(data) * size)])
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match="does not hold the weights of this backbone"):
        load_folder(folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "dataset", "variable"),
    [
        (ENCODER, "layers/conv2d/vars/0", "stem_conv/kernel"),
        (HEAD, "layers/dense/vars/1", "head_fc/bias"),
    ],
)
def test_stored_values_that_are_not_finite_are_refused(folder, bad, name, dataset, variable):
    with h5py.File(folder / name, "r+") as stored:
        stored[dataset][0] = bad
    bless(folder, name)
    with pytest.raises(WeightsError, match=f"variable {variable} has .* NaN or infinite"):
        load_folder(folder)


def test_an_edited_value_is_found(folder):
    with h5py.File(folder / HEAD, "r+") as stored:
        stored["layers/dense/vars/1"][0] += 1e-3
    bless(folder, HEAD)
    with pytest.raises(WeightsError, match=r"are not those of r-isonet-8.cats: expected fingerpri"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("layers/extra/vars/0", "holds 20 arrays, the backbone has 19"),
        ("extra", "holds 20 arrays, the backbone has 19"),
        ("layers/conv2d/vars/7", "does not hold the weights of this backbone"),
    ],
)
def test_an_array_too_many_is_found(folder, path, message):
    with h5py.File(folder / ENCODER, "r+") as stored:
        stored[path] = np.zeros(3, "float32")
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


def test_an_array_too_few_is_found(folder):
    with h5py.File(folder / ENCODER, "r+") as stored:
        del stored["layers/s_re_lu/vars/0"]
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match="does not hold the weights of this backbone"):
        load_folder(folder)


# Another network's weights


def test_weights_of_another_shape_are_refused(folder, tmp_path):
    write_folder(network("r-isonet-8-w32"), tmp_path / "wide")
    (folder / ENCODER).write_bytes((tmp_path / "wide" / ENCODER).read_bytes())
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match="does not hold the weights of this backbone"):
        load_folder(folder)


def test_weights_of_a_deeper_network_are_refused(folder, tmp_path):
    write_folder(network("r-isonet-14"), tmp_path / "deep")
    (folder / ENCODER).write_bytes((tmp_path / "deep" / ENCODER).read_bytes())
    bless(folder, ENCODER)
    with pytest.raises(WeightsError, match=r"does not hold the weights|holds .* arrays"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("mine", "other"),
    [("resnet-gn-8", "resnet-in-8"), ("resnet-ln-8", "resnet-gn-8")],
)
def test_weights_of_a_network_with_the_same_shapes_are_refused(mine, other, tmp_path):
    """Only the fingerprint tells these apart: names, shapes and number of variables are equal."""
    first, second = network(mine), network(other)
    second.head.get_layer("head_fc").bias.assign([1.0, 2.0, 3.0])
    write_folder(first, tmp_path / "mine", tag="t")
    write_folder(second, tmp_path / "other", tag="t")
    for name in (ENCODER, HEAD):
        (tmp_path / "mine" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    bless(tmp_path / "mine", ENCODER, HEAD)
    with pytest.raises(WeightsError, match=f"are not those of {mine}.t: .* another network's"):
        load_folder(tmp_path / "mine")


def test_equal_values_under_another_architecture_are_refused(tmp_path):
    """A manifest edited to name another architecture no longer fits its own weights."""
    write_folder(network("resnet-gn-8"), tmp_path / "out")
    instance = architecture("resnet-in-8", classes=3)
    rewrite(
        tmp_path / "out",
        lambda data: data.update(name=instance.name, architecture=instance.to_dict()),
    )
    with pytest.raises(WeightsError, match="are not those of resnet-in-8: expected fingerprint"):
        load_folder(tmp_path / "out")


# Manifests


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("<html></html>", "is not JSON"),
        ("[]", "must hold a JSON object, found list"),
        ('{"format": 0}', "has format 0, this isozoo reads 1; fetch the folder again"),
        ("{}", "lacks format, name, tag, architecture"),
        ('{"format": 99}', "has format 99, this isozoo reads 1; upgrade with `pip install"),
    ],
)
def test_a_malformed_manifest_is_refused(folder, text, message):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


def test_a_manifest_that_is_not_text_is_refused(folder):
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match=r"isozoo.json is not text"):
        load_folder(folder)


KEYS = [
    "format",
    "name",
    "tag",
    "architecture",
    "labels",
    "preprocessing",
    "input_shape",
    "dtype",
    "parameters",
    "metrics",
    "licence",
    "version",
    "fingerprint",
    "files",
    "variables",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_without_one_of_its_keys_is_refused(folder, key):
    assert sorted(KEYS) == sorted(json.loads((folder / MANIFEST).read_text()))
    rewrite(folder, lambda data: data.pop(key))
    with pytest.raises(WeightsError, match=f"isozoo.json lacks {key}; fetch the folder again"):
        load_folder(folder)


@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_with_a_value_of_the_wrong_type_is_refused(folder, key):
    rewrite(folder, lambda data: data.update({key: True}))
    with pytest.raises(WeightsError, match=f"'{key}' must be .*, found bool"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["architecture"].update(depth=14), "gives the name 'r-isonet-14', found 'r-is"),
        (lambda d: d["labels"].pop(), "gives the number of labels 3, found 2"),
        (lambda d: d["input_shape"].pop(), "gives the number of sides in input_shape 3, found 2"),
        (lambda d: d.update(input_shape=[None, None, 1]), r"channels \(3,\), found \(1,\)"),
        (lambda d: d["architecture"].pop("stem"), "cannot read .*incomplete architecture"),
        (lambda d: d["architecture"].update(code="x"), "cannot read .*unknown architecture fields"),
        (lambda d: d["architecture"].update(block="rm"), "cannot read .*unknown block 'rm'"),
        (lambda d: d["preprocessing"].pop("size"), "cannot read .*missing"),
        (lambda d: d.update(labels=["cat", "dog", 3]), "cannot read .unexpected 3.; fetch"),
        (lambda d: d["metrics"].update(top1="high"), "cannot read .unexpected 'high'.; fetch"),
        (lambda d: d["variables"].update(x=1), "holds a value that isozoo cannot read"),
        (lambda d: d["files"].update({ENCODER: 5}), "holds a value that isozoo cannot read"),
        (lambda d: d["files"].pop(ENCODER), f"'files' lacks {ENCODER}"),
        (lambda d: d["files"].pop(GOLDEN), f"'files' lacks {GOLDEN}"),
        (
            lambda d: d["variables"].pop("head_fc/bias"),
            r"1 variables differ, first head_fc/bias \(",
        ),
        (lambda d: d["variables"].update({"x/y": [3]}), "1 variables differ, first x/y"),
        (lambda d: d.update(dtype="float31"), "dtype policy 'float31', which Keras .* not know"),
        (lambda d: d.update(fingerprint="0" * 64), "expected fingerprint 0000.*, found "),
    ],
)
def test_a_manifest_that_contradicts_itself_or_the_network_is_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(WeightsError, match=message):
        load_folder(folder)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", "..\\secret", "C:evil", "..", ".", "", "a\0b", MANIFEST],
)
def test_a_manifest_may_only_speak_of_its_own_folder(folder, name):
    (folder.parent / "secret").write_text("secret")
    record = FileRecord.of(folder.parent / "secret")
    rewrite(folder, lambda d: d["files"].update({name: vars(record)}))
    with pytest.raises(WeightsError, match="is not the plain name of another file"):
        load_folder(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def described() -> dict:
    """Return the content of a sound manifest, whose every part is small."""
    model = architecture("isonet-8", classes=2)
    manifest = Manifest(
        name=model.name,
        tag="t",
        architecture=model,
        labels=("a", "b"),
        preprocessing=IMAGENET,
        input_shape=(None, None, 3),
        dtype="float32",
        parameters=1,
        variables={"a/b": (2, 3)},
        fingerprint="f",
        files={name: FileRecord(1, "f") for name in REQUIRED},
        metrics={"top1": 0.5},
        licence="MIT",
    )
    return json.loads(manifest.to_json())


@given(st.data())
@settings(deadline=None)
def test_whatever_is_in_a_manifest_is_read_or_refused(data):
    content = described()
    place = content
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(JSON)
    try:
        manifest = Manifest.from_json(json.dumps(content))
    except WeightsError:
        return
    assert Manifest.from_json(json.dumps(content)) == manifest


def test_labels_that_look_like_lists_are_not_touched():
    content = described()
    content["labels"] = ["[ 1,  2 ]", "[\n 1 ]"]
    manifest = Manifest.from_json(json.dumps(content))
    assert Manifest.from_json(manifest.to_json()).labels == ("[ 1,  2 ]", "[\n 1 ]")


def test_a_newer_format_is_named_before_anything_else(folder):
    rewrite(folder, lambda data: (data.clear(), data.update(format=FORMAT + 1)))
    with pytest.raises(WeightsError, match=f"has format {FORMAT + 1}, this isozoo reads"):
        read_manifest(folder)


def test_a_full_name_needs_a_tag(folder):
    manifest = read_manifest(folder)
    assert replace(manifest, tag=None).full_name == "r-isonet-8"
