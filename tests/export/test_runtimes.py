"""Every format and dtype in its own runtime.

Needs the runtimes: `pip install -e '.[export]'`, then `pytest -m export`.
"""

import json
import re

import numpy as np
import pytest

import isozoo
from isozoo.data import IMAGENET
from isozoo.export import FORMATS, export_model, load_exported
from isozoo.export.formats import DTYPES
from tests.export.conftest import LABELS, network

pytestmark = pytest.mark.export
pytest.importorskip("openvino", reason="the extra `export` is not installed")

WITHOUT_KERAS = """
import json, sys
from isozoo.export import load_exported
found = load_exported(sys.argv[1]).classify(sys.argv[2:], top=1)
heavy = sorted({"keras", "tensorflow", "torch", "jax"} & set(sys.modules))
print(json.dumps([[one[0].label for one in found], heavy]))
"""


@pytest.fixture(scope="module")
def photographed():
    """A network with the stem of ImageNet, small and for small pictures."""
    return network("r-isonet-18-w32", (1, 1, 1, 1), preprocessing=IMAGENET.with_size(64))


@pytest.fixture(scope="module")
def exports(photographed, pictures, tmp_path_factory):
    """Every format in every dtype, written once."""
    made = {}

    def export(form, dtype):
        if (form, dtype) not in made:
            folder = tmp_path_factory.mktemp("exports") / f"{form}-{dtype}"
            calibration = pictures if dtype == "int8" else None
            export_model(photographed, folder, form, dtype, calibration)
            made[form, dtype] = folder
        return made[form, dtype]

    return export


ALL = [(form.name, dtype) for form in FORMATS.values() for dtype in form.dtypes]
FLOATS = [(form, dtype) for form, dtype in ALL if dtype != "int8"]


@pytest.mark.parametrize(("form", "dtype"), ALL)
def test_the_logits_are_those_of_keras(exports, photographed, pictures, form, dtype):
    exported = load_exported(exports(form, dtype))
    batch = photographed.preprocess(sorted(pictures.rglob("*.png")))
    wanted = photographed.predict(batch, verbose=0)
    differences = []
    for count in (len(batch), 1, 5):
        found = exported(batch[:count])
        assert found.shape == (count, 3)
        differences.append(abs(found - wanted[:count]).max() / abs(wanted).max())
    assert max(differences) <= DTYPES[dtype].tolerance
    # Rounding shows: nothing was run in another precision than was asked for.
    assert (max(differences) > 1e-5) == (dtype != "float32")
    # What the guide calls it, and what a runtime is asked for by.
    assert exported.sidecar.input_name == "images"


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("form", ["onnx", "litert", "openvino"])
def test_a_fixed_batch(tmp_path, photographed, pictures, form, dtype):
    calibration = pictures if dtype == "int8" else None
    export_model(photographed, tmp_path / "out", form, dtype, calibration, batch_size=2)
    exported = load_exported(tmp_path / "out")
    batch = exported.preprocess(sorted(pictures.rglob("*.png"))[:3])
    wanted = photographed.predict(batch, verbose=0)
    assert abs(exported(batch) - wanted).max() <= DTYPES[dtype].tolerance * abs(wanted).max()
    assert exported.sidecar.input_shape[0] == 2


def test_the_file_itself_has_the_fixed_batch(tmp_path, photographed, pictures):
    import onnx
    import openvino

    for form in ("onnx", "openvino"):
        export_model(photographed, tmp_path / form, form, "int8", pictures, batch_size=2)
    (entry,) = onnx.load(tmp_path / "onnx" / "model.onnx").graph.input
    assert [side.dim_value for side in entry.type.tensor_type.shape.dim] == [2, 3, 64, 64]
    model = openvino.Core().read_model(tmp_path / "openvino" / "model.xml")
    assert list(model.inputs[0].shape) == [2, 3, 64, 64]


@pytest.mark.parametrize("form", ["onnx", "litert", "openvino"])
def test_classifying_needs_no_keras(exports, photographed, pictures, python, form):
    paths = [str(path) for path in sorted(pictures.rglob("*.png"))[:3]]
    ran = python("-c", WITHOUT_KERAS, str(exports(form, "float32")), *paths)
    assert ran.returncode == 0, ran.stderr
    labels, heavy = json.loads(ran.stdout.splitlines()[-1])
    assert labels == [one[0].label for one in photographed.classify(paths, top=1)]
    assert heavy == []


def test_predict_takes_an_exported_folder_and_starts_no_keras(exports, pictures, python):
    picture = min(pictures.rglob("*.png"))
    program = (
        "import sys; from isozoo.cli import main; code = main(sys.argv[1:]); "
        "assert 'keras' not in sys.modules; sys.exit(code)"
    )
    folder = exports("onnx", "float32")
    ran = python("-c", program, "predict", str(picture), "--model", str(folder), "--json")
    assert ran.returncode == 0, ran.stderr
    (image,) = json.loads(ran.stdout)["images"]
    assert {item["label"] for item in image["predictions"]} == set(LABELS)


def test_openvino_computes_in_float32_unless_asked(exports, photographed):
    folder = exports("openvino", "float32")
    batch = np.random.default_rng(0).standard_normal((4, 64, 64, 3)).astype("float32")
    wanted = photographed.predict(batch, verbose=0)

    def difference(**options):
        return abs(load_exported(folder, threads=1, **options)(batch) - wanted).max()

    assert difference() < 1e-5
    assert difference(precision="float32") < 1e-5
    # On a processor without bfloat16 OpenVINO computes in float32 all the same.
    import openvino

    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert difference(precision="bfloat16") > 1e-4


def test_eight_bits_are_a_quarter_of_the_size(exports):
    for form in ("onnx", "openvino", "litert"):
        sizes = {
            dtype: sum(
                record.size
                for name, record in load_exported(exports(form, dtype)).sidecar.files.items()
                if name.startswith("model")
            )
            for dtype in ("float32", "int8")
        }
        assert sizes["int8"] < 0.35 * sizes["float32"]


def test_the_file_itself_says_what_it_is(exports, photographed):
    import onnx
    import openvino

    stored = onnx.load(exports("onnx", "int8") / "model.onnx").metadata_props
    said = {item.key.removeprefix("isozoo."): item.value for item in stored}
    assert json.loads(said["labels"]) == LABELS
    assert json.loads(said["preprocessing"]) == photographed.preprocessing.to_dict()
    model = openvino.Core().read_model(exports("openvino", "int8") / "model.xml")
    assert json.loads(model.get_rt_info(["isozoo", "labels"]).astype(str)) == LABELS
    assert model.get_rt_info(["isozoo", "layout"]).astype(str) == "channels_first"


def test_the_calibration_is_counted(exports):
    assert load_exported(exports("openvino", "int8")).sidecar.calibration == 12


def test_the_versions_are_those_of_all_that_took_part(exports):
    def versions(form, dtype):
        return load_exported(exports(form, dtype)).sidecar.versions

    common = {"isozoo", "keras", "tensorflow"}
    assert set(versions("litert", "float32")) == {*common, "ai_edge_litert"}
    assert set(versions("openvino", "float32")) == {*common, "openvino"}
    assert set(versions("openvino", "int8")) == {*common, "openvino", "nncf"}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("isonet-8", "onnx"),
        ("fixup-8", "onnx"),
        ("resnet-bin-8", "onnx"),
        ("resnet-8", "openvino"),
        ("fixup-8", "openvino"),
        ("resnet-gn-8", "openvino"),
        ("isonet-8", "litert"),
        ("resnet-in-8", "litert"),
        ("resnet-ln-8", "onnx"),
    ],
)
def test_other_families(tmp_path, name, form):
    export_model(network(name), tmp_path / "out", form)
    assert load_exported(tmp_path / "out").sidecar.difference < 1e-4


def test_a_fused_network(tmp_path):
    export_model(network("resnet-8").fuse(), tmp_path / "out", "openvino")
    assert load_exported(tmp_path / "out").sidecar.difference < 1e-4


def test_the_guide_runs_each_format_directly(root, tmp_path, monkeypatch):
    """The blocks that the collector of documents leaves out, as they need runtimes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(root / "examples")
    model = isozoo.load("r-isonet-18-w32")
    for form in FORMATS:
        export_model(model, tmp_path / "golf" / form, form)
    guide = (root / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```py\n(.*?)^```", guide, re.M | re.S)
    assert len(blocks) == len(FORMATS)
    names = {}
    for block in blocks:
        exec(compile(block, "docs/export.md", "exec"), names)
