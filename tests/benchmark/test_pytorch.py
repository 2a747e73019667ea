"""The rival in PyTorch computes what isozoo does; needs PyTorch."""

import importlib
import sys

import numpy as np
import pytest

import isozoo

pytestmark = pytest.mark.convert
torch = pytest.importorskip("torch", reason="PyTorch, of the extra `convert`, is not installed")


@pytest.fixture
def rival(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    monkeypatch.delitem(sys.modules, "pytorch", raising=False)
    return importlib.import_module("pytorch")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("r-isonet-50", 25_526_648),
        ("r-isonet-18", None),
        ("isonet-18", None),
        ("resnet-50", None),
        ("resnet-18", None),
    ],
)
def test_it_has_as_many_parameters(rival, name, parameters):
    a = isozoo.architecture(name)
    count = sum(p.numel() for p in rival.network(a).parameters())
    assert count == (parameters or isozoo.info(name).parameters)


@pytest.mark.parametrize("name", ["r-isonet-18-w8", "isonet-50-w8", "resnet-20-w8"])
def test_logits_and_penalty_are_those_of_isozoo(rival, name):
    from isozoo.regularizers import model_penalty
    from isozoo.zoo.official import load_state_dict

    a = isozoo.architecture(name, classes=7)
    torch.manual_seed(0)
    network = rival.network(a).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, rival.SharedScale):
                module.scale.fill_(0.5)
    model = load_state_dict(network.state_dict(), name)
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")
    with torch.inference_mode():
        expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(model.predict_on_batch(images), expected, rtol=1e-4, atol=1e-5)
    penalty = rival.orthogonality(network).item()
    assert penalty > 0
    np.testing.assert_allclose(float(model_penalty(model)), penalty, rtol=1e-5)


def test_groups_of_parameters_are_the_authors(rival):
    network = rival.network(isozoo.architecture("r-isonet-8"))
    groups = rival.optimizer(network).param_groups
    assert [len(group["params"]) for group in groups] == [7, 3, 11]
    assert [group["weight_decay"] for group in groups] == [0.0, 1e-4, 1e-4]
    assert groups[1]["lr"] == pytest.approx(0.1 * groups[2]["lr"])


@pytest.mark.parametrize("variants", ["", "@no-penalty", "@channels_last"])
def test_a_step_changes_the_network_and_its_loss_is_finite(rival, variants):
    step = rival.training(f"r-isonet-8{variants}", batch_size=2, image_size=32)
    assert np.isfinite([step(), step()]).all()


def test_both_memory_formats_are_of_one_network(rival):
    name = "r-isonet-8"
    (a, contiguous, _), (_, last, variants) = map(rival.prepared, (name, f"{name}@channels_last"))
    images = rival.batch(a, 2, 32, variants)()
    assert images.shape == (2, 3, 32, 32)
    assert images.is_contiguous(memory_format=torch.channels_last)
    kernel = next(p for p in last.parameters() if p.ndim == 4 and min(p.shape) > 1)
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert rival.batch(a, 2, 32, set())().is_contiguous()
    with torch.inference_mode():
        logits = [model.eval()(images) for model in (last, contiguous)]
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)


def test_a_batch_comes_from_numpy_each_time_and_goes_back(rival, monkeypatch):
    came = []
    monkeypatch.setattr(
        rival.torch, "from_numpy", lambda array, f=torch.from_numpy: came.append(array) or f(array)
    )
    repeat = rival.inference("r-isonet-8", batch_size=2, image_size=32)
    assert isinstance(repeat(), np.ndarray)
    repeat()
    assert len(came) == 2
    rival.training("r-isonet-8", batch_size=2, image_size=32)()
    assert [array.shape for array in came[2:]] == [(2, 3, 32, 32), (2,)]


@pytest.mark.parametrize("work", ["inference", "training", "penalty"])
def test_all_of_it_is_on_the_device(rival, monkeypatch, work):
    # The meta device has no values: what was left on the CPU would raise.
    monkeypatch.setattr(rival, "device", lambda: torch.device("meta"))
    monkeypatch.setattr(rival, "finished", lambda number: str(number.device))
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.zeros(1))
    sizes = {} if work == "penalty" else {"batch_size": 2, "image_size": 32}
    repeat = getattr(rival, work)("r-isonet-8", **sizes)
    assert repeat() == (0 if work == "inference" else "meta")


def test_inference_and_penalty_can_be_repeated(rival):
    logits = rival.inference("r-isonet-8", batch_size=2, image_size=32)
    assert logits().shape == (2, 1000)
    penalty = rival.penalty("r-isonet-8")
    assert penalty() == penalty() > 0


def test_an_unknown_variant_is_refused(rival):
    with pytest.raises(ValueError, match=r"unknown variants \['fast'\]; known: no-penalty"):
        rival.inference("r-isonet-8@fast", batch_size=2, image_size=32)
