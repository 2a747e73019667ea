"""What is written answers as the network does, and what cannot be written is refused in words."""

import dataclasses
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from isozoo.errors import DataError, ExportError, MissingExtraError, UnknownNameError, WeightsError
from isozoo.export import FORMATS, export_model, load_exported, read_sidecar
from isozoo.export.calibration import IMAGES
from isozoo.export.formats import DTYPES
from isozoo.export.serving import REPLACEMENTS, MirroredMaxPooling2D, rewritten
from isozoo.export.sidecar import GOLDEN, SIDECAR
from isozoo.layers import SymmetricMaxPooling2D
from isozoo.models.adapting import adapt
from isozoo.models.variables import named_variables
from tests.export.conftest import LABELS, network

#: What TensorFlow alone can write and run.
TENSORFLOW = [("saved_model", "bfloat16"), ("litert", "float32")]


def images(count, size=32):
    return np.random.default_rng(1).standard_normal((count, size, size, 3)).astype("float32")


def refused(model, folder, match, kind=ExportError, **options):
    """Check that an export is refused and leaves nothing."""
    with pytest.raises(kind, match=match):
        export_model(model, folder, **options)
    assert not folder.exists()
    assert not [name for name in os.listdir(folder.parent) if name.startswith(".")]


# What is written


def test_an_export_says_what_it_is(original, model):
    sidecar = read_sidecar(original)
    assert (sidecar.name, sidecar.format, sidecar.dtype) == (
        "r-isonet-8.pets",
        "saved_model",
        "float32",
    )
    assert (sidecar.labels, sidecar.preprocessing) == (model.labels, model.preprocessing)
    assert sidecar.architecture == model.architecture
    assert (sidecar.input_name, sidecar.input_shape) == ("images", (None, 32, 32, 3))
    assert (sidecar.metrics, sidecar.licence) == ({"top1": 0.75}, "MIT")
    assert sidecar.versions["keras"] == keras.__version__
    assert sidecar.versions["tensorflow"] == tf.__version__
    assert sidecar.difference < 1e-5
    stored = {path.relative_to(original).as_posix() for path in original.rglob("*")}
    assert {"golden.npz", "saved_model/saved_model.pb"} < set(sidecar.files) < stored


def test_an_export_claims_nothing_that_was_said_of_another_network(tmp_path, model, stub):
    allow(stub, 10.0)
    others = {
        "classes": (adapt(model, classes=["cat", "dog", "cow"]), {}),
        "size": (model, {"image_size": 40}),
        "weights": (adapt(model, dtype="float32"), {}),
        "half": (adapt(model, dtype="float16"), {}),
    }
    next(iter(named_variables(others["weights"][0]).values())).assign_add(0.1)
    for what, (other, options) in others.items():
        sidecar = export_model(other, tmp_path / what, **options)
        said = (sidecar.name, sidecar.metrics, sidecar.licence, sidecar.source)
        assert said == ("r-isonet-8", {}, None, None), what
    # What was said of float32 is what a sidecar says, whatever the precision of the arithmetic.
    mixed = adapt(model, dtype="mixed_bfloat16")
    assert export_model(mixed, tmp_path / "mixed").name == "r-isonet-8.pets"


def test_the_golden_logits_are_those_of_keras(original, model):
    with np.load(original / "golden.npz") as golden:
        inputs, logits = golden["input"], golden["logits"]
    np.testing.assert_allclose(model.predict(inputs, verbose=0), logits, atol=1e-5)
    np.testing.assert_allclose(load_exported(original)(inputs), logits, atol=1e-5)


def test_it_classifies_as_keras_does(original, model, pictures):
    paths = sorted(pictures.rglob("*.png"))
    exported = load_exported(original)
    found = exported.classify(paths, top=2, batch_size=5)
    for one, other in zip(found, model.classify(paths, top=2), strict=True):
        assert [(p.label, p.index) for p in one] == [(p.label, p.index) for p in other]
        assert [p.probability for p in one] == pytest.approx([p.probability for p in other])
    assert exported.labels == tuple(LABELS)


@pytest.mark.parametrize(("form", "dtype"), TENSORFLOW)
def test_what_tensorflow_alone_can_write(tmp_path, model, monkeypatch, form, dtype):
    monkeypatch.setattr("isozoo.export.litert.installed", lambda name: False)
    before = model.get_weights()
    sidecar = export_model(model, tmp_path / "out", form, dtype)
    assert sidecar.difference <= DTYPES[dtype].tolerance
    assert sidecar.input_name == "images"
    exported = load_exported(tmp_path / "out")
    for count in (1, 3):
        batch = images(count)
        found, wanted = exported(batch), model.predict(batch, verbose=0)
        assert found.shape == (count, 3)
        assert found.dtype == np.float32
        assert abs(found - wanted).max() <= DTYPES[dtype].tolerance * abs(wanted).max()
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.backbone.input_shape[1:] == (None, None, 3)


def test_a_fixed_batch_and_another_size(tmp_path, model):
    export_model(model, tmp_path / "out", image_size=40, batch_size=2)
    exported = load_exported(tmp_path / "out")
    assert exported.sidecar.input_shape == (2, 40, 40, 3)
    assert (exported.preprocessing.size, exported.preprocessing.resize) == (40, 40)
    batch = images(5, 40)
    np.testing.assert_allclose(exported(batch), model.predict(batch, verbose=0), atol=1e-4)


# What is refused


def test_a_format_that_is_none(tmp_path, model):
    match = "unknown format 'openvin'; did you mean 'openvino'"
    refused(model, tmp_path / "out", match, UnknownNameError, format="openvin")


def test_a_dtype_that_the_format_lacks(tmp_path, model):
    match = "ONNX cannot be exported as bfloat16; use float32 or int8, or bfloat16 with format "
    refused(model, tmp_path / "out", match, format="onnx", dtype="bfloat16")
    refused(model, tmp_path / "out", "LiteRT cannot be exported as f4", format="litert", dtype="f4")


def test_another_backend(tmp_path, model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    match = "ONNX cannot be exported while Keras computes with jax.*KERAS_BACKEND=tensorflow"
    refused(model, tmp_path / "out", match, format="onnx")


def test_an_extra_that_is_not_installed(tmp_path, model, original, monkeypatch):
    monkeypatch.setattr("isozoo.export.formats.installed", lambda name: False)
    match = r"exporting to OpenVINO as int8 needs openvino, nncf: .*'isozoo\[export\]'"
    options = {"format": "openvino", "dtype": "int8", "calibration": "x"}
    refused(model, tmp_path / "out", match, MissingExtraError, **options)
    with pytest.raises(MissingExtraError, match="running a SavedModel needs tensorflow: "):
        load_exported(original)


def test_int8_without_pictures(tmp_path, model):
    options = {"format": "litert", "dtype": "int8"}
    refused(model, tmp_path / "out", "int8 needs pictures to measure", **options)
    refused(model, tmp_path / "out", "no picture was given", DataError, calibration=[], **options)
    options["calibration"] = tmp_path / "none"
    refused(model, tmp_path / "out", "no images at .*none", DataError, **options)


def test_pictures_that_nothing_is_done_with(tmp_path, model, pictures):
    match = "calibration is for dtype int8, and float32 was asked for"
    refused(model, tmp_path / "out", match, calibration=pictures)


def test_sizes_that_are_none(tmp_path, model):
    refused(model, tmp_path / "out", "batch_size must be at least 1", ValueError, batch_size=0)
    refused(model, tmp_path / "out", "image_size must be at least 1", ValueError, image_size=0)


def test_a_network_of_oblong_images(tmp_path):
    oblong = network(input_shape=(32, 40, 3))
    refused(oblong, tmp_path / "out", "takes images of 32x40 only.*give image_size")


def test_weights_that_are_not_finite(tmp_path):
    broken = network()
    kernel = broken.head.get_layer("head_fc").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    match = "the model: variable head_fc/kernel has 192 of 192 values that are NaN"
    refused(broken, tmp_path / "out", match, WeightsError)


def test_a_folder_of_somebody_else(tmp_path, model):
    (tmp_path / "thesis.tex").write_text("words")
    with pytest.raises(ExportError, match=r"it would replace thesis.tex, which is no export"):
        export_model(model, tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("sidecar", ["", "{}", None])
def test_what_lies_beside_an_export_is_kept(tmp_path, model, folder, sidecar):
    """Also where the export's own list is lost, as then nobody knows what is whose."""
    (folder / "weights").mkdir()
    (folder / "weights" / SIDECAR).write_text("only copy")
    if sidecar is not None:
        (folder / SIDECAR).write_text(sidecar)
    before = sorted(folder.rglob("*"))
    found = "golden.npz, isozoo-export.json" if sidecar is not None else "weights/isozoo-export"
    with pytest.raises(ExportError, match=f"it would replace {found}"):
        export_model(model, folder)
    assert sorted(folder.rglob("*")) == before


class Stub:
    """A runtime that answers what it is told to, without a network."""

    input_name, output_name, options = "images", "logits", frozenset()
    answer = np.zeros((1, 3))

    def __init__(self, folder, dtype):
        assert (folder / "network").read_text() == dtype

    def __call__(self, images):
        return self.answer


def allow(stub, tolerance):
    """Let float32 differ by another share of the largest logit."""
    stub.setitem(DTYPES, "float32", dataclasses.replace(DTYPES["float32"], tolerance=tolerance))


@pytest.fixture
def stub(monkeypatch):
    """Write and run something else instead of a SavedModel."""
    form = FORMATS["saved_model"]
    module = form.implementation
    monkeypatch.setitem(FORMATS, form.name, dataclasses.replace(form, files=("network",)))
    monkeypatch.setattr(
        module, "write", lambda job, folder: (folder / "network").write_text(job.dtype)
    )
    monkeypatch.setattr(module, "Runtime", Stub)
    return monkeypatch


def test_an_export_that_answers_otherwise(tmp_path, model, stub):
    stub.setattr(Stub, "answer", np.array([[9.0, 0, 0]]))
    match = r"answers otherwise than Keras: on 1 images .* differ by up to [\d.]+ .*nothing was"
    refused(model, tmp_path / "out", match)


@pytest.mark.parametrize("answer", [np.full((1, 3), np.nan), np.zeros((1, 2))])
def test_an_export_that_answers_nothing(tmp_path, model, stub, answer):
    stub.setattr(Stub, "answer", answer)
    refused(model, tmp_path / "out", "answers otherwise|logits of the shape")


def test_an_export_of_small_logits_that_answers_nothing(tmp_path, stub):
    """The tolerance is a share of the largest logit, however small that is."""
    quiet = network()
    head = quiet.head.get_layer("head_fc")
    for variable in head.weights:
        variable.assign(np.asarray(variable) / 1000)
    allow(stub, 0.25)
    refused(quiet, tmp_path / "out", "differ by up to 1 of the largest one")


def test_another_class_that_comes_first(tmp_path, model, stub, original):
    """Within the tolerance, which is wide for int8, a near tie may turn and a clear lead not."""
    with np.load(original / GOLDEN) as golden:
        first, second = np.argsort(-golden["logits"][0])[:2]
        lead = golden["logits"][0, first] - golden["logits"][0, second]
        answer, scale = golden["logits"].copy(), abs(golden["logits"]).max()
    answer[0, second] += 1.1 * lead
    stub.setattr(Stub, "answer", answer)
    allow(stub, 1.2 * lead / scale)
    export_model(model, tmp_path / "near")
    answer[0, first] -= 0.5 * lead
    answer[0, second] -= 0.5 * lead
    allow(stub, 0.7 * lead / scale)
    refused(model, tmp_path / "far", "another class comes first on 1;")


def test_a_full_disk_leaves_the_older_export(tmp_path, model, stub):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    allow(stub, 10.0)
    export_model(model, tmp_path / "pets")
    before = read_sidecar(tmp_path / "pets")
    stub.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="No space left"):
        export_model(model, tmp_path / "pets", image_size=40)
    assert read_sidecar(tmp_path / "pets") == before
    assert os.listdir(tmp_path) == ["pets"]
    load_exported(tmp_path / "pets")


def test_an_older_export_is_replaced(tmp_path, model, stub):
    allow(stub, 10.0)
    export_model(model, tmp_path / "pets")
    export_model(model, tmp_path / "pets", image_size=40)
    assert load_exported(tmp_path / "pets").image_shape == (40, 40, 3)


# The table, and what it does to a network


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_the_table_is_sound(form):
    assert callable(form.implementation.write)
    assert form.implementation.Runtime.options <= {"threads", "precision"}
    assert set(form.policies) <= set(form.dtypes) <= set(DTYPES)
    assert set(form.rewrites) <= set(REPLACEMENTS)


def test_the_guide_says_what_the_tables_do(root):
    guide = (root / "docs" / "export.md").read_text(encoding="utf-8")
    for form in FORMATS.values():
        assert f"| `{form.name}` | {', '.join(form.dtypes)} |" in guide
    for dtype, row in DTYPES.items():
        shown = f"{row.tolerance:.4f}".rstrip("0")
        assert f"{shown} for {dtype}" in guide.replace("\n", " ")
    assert f"{IMAGES} are taken at equal distances" in guide.replace("\n  ", " ")


@pytest.mark.parametrize("name", ["isonet-8", "resnet-8", "fixup-8", "resnet-bin-8"])
def test_a_rewritten_network_computes_the_same(name):
    model = network(name)
    batch = images(2)
    found = rewritten(model, REPLACEMENTS)(batch, training=False)
    np.testing.assert_allclose(found, model(batch, training=False), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 7, 8])
@pytest.mark.parametrize(("pool", "padding"), [(3, 1), (2, 1), (5, 2)])
def test_mirrored_padding_never_wins(side, pool, padding):
    if padding > side:
        pytest.skip("there is less image than padding")
    batch = -np.abs(images(2, side)) - 1
    one, other = (
        kind(pool, 2, padding)(batch) for kind in (SymmetricMaxPooling2D, MirroredMaxPooling2D)
    )
    np.testing.assert_array_equal(one, other)
