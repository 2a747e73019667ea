"""Checkpoints as PyTorch writes them: the authors' numbers from both formats, and hostile ones.

Needs PyTorch: `pip install torch`, then `pytest -m convert`, with Keras on any backend.
"""

import collections
import os
import re
import zipfile

import keras
import numpy as np
import pytest

import isozoo
from isozoo.errors import WeightsError
from isozoo.models.folder import load_folder
from isozoo.models.manifest import read_manifest
from isozoo.zoo import convert_checkpoint
from isozoo.zoo.torchfile import read_checkpoint
from tests.keyed import Fixture

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `convert`, is not installed")
pytestmark = pytest.mark.convert

NAMES = {"isonet18": "isonet-18", "risonet18": "r-isonet-18", "risonet50": "r-isonet-50"}
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def fixtures(root, request):
    """Return the numbers of an original network, from the repository or beside it."""

    def fixture(name):
        folder = root / "tests" / "golden" / "official"
        if not (folder / f"{name}.npz").is_file():
            folder = request.getfixturevalue("shared") / "fixtures"
        return Fixture(folder, name)

    return fixture


def save(value, path, zipped, monkeypatch=None):
    """Write as torch.save did; with `monkeypatch`, as from the authors' four GPUs."""
    if monkeypatch is not None:
        monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    if monkeypatch is not None:
        monkeypatch.undo()
    assert zipfile.is_zipfile(path) == zipped
    return path


def tensors(state_dict):
    return collections.OrderedDict(
        (f"module.{key}", torch.from_numpy(value)) for key, value in state_dict.items()
    )


def tiny():
    return {"module.head.fc.weight": torch.ones(2, 3)}


# The authors' numbers


@FORMATS
@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_of_the_authors_gives_their_logits(fixtures, tmp_path, name, zipped):
    original = fixtures(name)
    checkpoint = {
        "net": tensors(original.state_dict),
        "optim": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 100,
        "train_accuracy": [1.0, 2.5],
        "test_accuracy": [1.0, 2.5],
    }
    with pytest.MonkeyPatch.context() as patch:
        path = save(checkpoint, tmp_path / "best.pt", zipped, patch)
    done = convert_checkpoint(path, f"{NAMES[name]}.imagenet")
    manifest = read_manifest(done.folder)
    assert manifest.full_name == f"{NAMES[name]}.imagenet"
    assert manifest.parameters == original.facts["num_parameters"]
    assert manifest.labels[:2] == ("tench", "goldfish")
    assert (manifest.licence, manifest.metrics) == ("MIT", {})
    record = isozoo.info(manifest.full_name)
    assert manifest.architecture.dropout == record.release.dropout > 0
    model = load_folder(done.folder)
    logits = keras.ops.convert_to_numpy(model(original.images, training=False))
    np.testing.assert_allclose(logits, original.arrays["logits_f64"], rtol=0, atol=1e-4)


@FORMATS
def test_a_bare_state_dict_is_read(tmp_path, zipped):
    path = save(tiny(), tmp_path / "best.pt", zipped)
    (value,) = read_checkpoint(path).values()
    assert value.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_another_network_is_refused_and_nothing_is_written(fixtures, tmp_path):
    path = save({"net": tensors(fixtures("risonet18").state_dict)}, tmp_path / "best.pt", True)
    for other in ("isonet-18", "r-isonet-34", "resnet-18"):
        with pytest.raises(WeightsError, match=f"the checkpoint is not one of {other}: .*check"):
            convert_checkpoint(path, f"{other}", tag="imagenet")
    assert not (tmp_path / "home" / "weights").exists()


# Hostile and damaged files


class Evil:
    """A pickle of this runs a command when it is loaded without care."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@FORMATS
@pytest.mark.parametrize("place", ["net", "epoch", "tensor"])
def test_a_command_in_a_checkpoint_is_not_run(tmp_path, zipped, place):
    mark = tmp_path / "it-ran"
    evil = Evil(f"touch {mark}")
    checkpoint = {
        "net": {"net": evil, "epoch": tiny()},
        "epoch": {"net": tiny(), "epoch": evil},
        "tensor": {"net": {"module.head.fc.weight": evil}},
    }[place]
    path = save(checkpoint, tmp_path / "best.pt", zipped)
    with pytest.raises(
        WeightsError,
        match=r"best.pt was refused, and nothing in it was run: it asks for the Python object "
        r"(posix|nt).system, where",
    ):
        convert_checkpoint(path, "r-isonet-8")
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the checkpoint of this test is harmless"


@FORMATS
def test_the_advice_that_torch_gives_is_not_passed_on(tmp_path, zipped):
    path = save({"net": tiny(), "when": np.random.default_rng}, tmp_path / "best.pt", zipped)
    with pytest.raises(WeightsError, match="nothing in it was run") as found:
        read_checkpoint(path)
    assert not re.search("weights_only|trusted source|False", str(found.value))


@FORMATS
def test_a_truncated_checkpoint_is_refused_wherever_it_ends(tmp_path, zipped):
    net = {f"module.s{i}.weight": torch.arange(100.0) for i in range(5)}
    whole = save({"net": net}, tmp_path / "best.pt", zipped).read_bytes()
    path = tmp_path / "cut.pt"
    for size in [*range(20, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        # Cut within a name, the file asks for an object that does not exist.
        with pytest.raises(WeightsError, match=r"cut.pt (is truncated or damaged|was refused)"):
            read_checkpoint(path)


def test_a_compressed_checkpoint_is_refused(tmp_path):
    whole = save({"net": {"w": torch.zeros(10_000_000)}}, tmp_path / "best.pt", True)
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as to:
        for entry in source.infolist():
            to.writestr(entry.filename, source.read(entry))
    assert torch.load(bomb)["net"]["w"].shape == (10_000_000,)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(WeightsError, match=r"claims to hold 40,\d\d\d,\d\d\d .*is compressed"):
        read_checkpoint(bomb)


@FORMATS
def test_a_tensor_that_repeats_one_number_is_refused(tmp_path, zipped):
    path = save({"net": {"w": torch.ones(1).expand(10**12)}}, tmp_path / "best.pt", zipped)
    with pytest.raises(WeightsError, match=r"its tensors claim 4,000,000,000,000; do not use"):
        read_checkpoint(path)


@FORMATS
@pytest.mark.parametrize("sides", [(10**12, 0), (0,), (2, 0, 3)])
def test_a_tensor_without_numbers_is_refused(tmp_path, zipped, sides):
    """A network of so many classes would be built for it."""
    path = save({"net": {"head.fc.weight": torch.zeros(sides)}}, tmp_path / "best.pt", zipped)
    shape = re.escape(str(sides))
    with pytest.raises(WeightsError, match=rf"'head.fc.weight' with the shape {shape}, which has"):
        convert_checkpoint(path, "r-isonet-8")


def test_more_classes_than_fit_into_memory_are_refused(tmp_path):
    """Few bytes for each class in the file, thousands of them in the network."""
    path = save({"net": {"fc.weight": torch.ones(10**6, 1)}}, tmp_path / "best.pt", True)
    with pytest.raises(WeightsError, match=r"shape \(1000000, 1\), and the network 2048 features"):
        convert_checkpoint(path, "r-isonet-50")


def twice(value, times):
    for _ in range(times):
        value = [value, value]
    return value


@FORMATS
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (twice(1.0, 100), "list"),
        (np.ones(3).tolist(), "list"),
        (1.0, "float"),
        ({"net": torch.ones(3)}, "dict"),
        (None, "NoneType"),
        ("ten", "str"),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_what_is_no_tensor_is_refused(tmp_path, zipped, value, kind, wrapped):
    """Above all lists of lists, which the file holds once and an array a million times."""
    net = {"head.fc.weight": torch.ones(2, 3), "net": value}
    path = save({"net": net} if wrapped else {**net, "net": [value]}, tmp_path / "best.pt", zipped)
    kind = kind if wrapped else "list"
    with pytest.raises(WeightsError, match=rf"holds 'net' as a {kind}, not as a tensor; give"):
        convert_checkpoint(path, "r-isonet-8")


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.zeros(3, dtype=torch.complex64), "complex64"),
        (torch.eye(3).to_sparse(), "sparse_coo"),
        (torch.zeros(3, device="meta"), "meta"),
    ],
)
def test_tensors_of_other_kinds_are_refused(tmp_path, tensor, kind):
    path = save({"net": {"head.fc.weight": tensor}}, tmp_path / "best.pt", True)
    with pytest.raises(WeightsError, match=rf"holds 'head.fc.weight' as a tensor .*{kind}"):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [[torch.ones(3)], torch.ones(3), {0: torch.ones(3)}, 3])
def test_what_is_no_state_dict_is_refused(tmp_path, value):
    path = save(value, tmp_path / "best.pt", True)
    with pytest.raises(WeightsError, match="not a state_dict; give a checkpoint that maps names"):
        read_checkpoint(path)


def test_numbers_that_are_not_finite_are_refused(fixtures, tmp_path):
    values = tensors(fixtures("risonet18").state_dict)
    values["module.s1.b1.f.a.weight"][0, 0, 0, 0] = float("nan")
    path = save({"net": values}, tmp_path / "best.pt", True)
    with pytest.raises(WeightsError, match="s1_b1_f_a/kernel"):
        convert_checkpoint(path, "r-isonet-18.imagenet")
