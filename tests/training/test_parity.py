"""Five steps of training, equal to those of the authors' code; see tests/golden/README.md."""

from pathlib import Path

import keras
import numpy as np
import pytest

from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.regularizers import model_penalty
from isozoo.training.recipe import Recipe
from isozoo.training.setup import compile_classifier
from isozoo.zoo.official import load_state_dict
from tests.keyed import Fixture, generator

GOLDEN = Path(__file__).parents[1] / "golden"
STEPS = 5

OFFICIAL = Recipe.from_dict(
    {
        "tag": "parity",
        "dataset": "noise",
        "model": {"name": "r-isonet-20", "dropout": 0.0, "orthogonality": 1e-4},
        "optimizer": {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"name": "constant"},
        "phases": [{"epochs": STEPS, "size": 32}],
    }
)


def official_start(state_dict) -> Classifier:
    """The authors' initialisation, but for the drawn dense layer."""
    model = Classifier(architecture("r-isonet-20", classes=10))
    dense = model.head.get_layer("head_fc")
    dense.kernel.assign(state_dict["head.fc.weight"].T)
    dense.bias.assign(state_dict["head.fc.bias"])
    return model


STARTS = {
    "keyed": lambda state_dict: load_state_dict(state_dict, "r-isonet-20"),
    "official": official_start,
}


@pytest.mark.parametrize("start", STARTS)
def test_five_steps_equal_the_originals(start):
    fixture = Fixture(GOLDEN / "official", "cifar20_risonet")
    with np.load(GOLDEN / "training" / "train_cifar20_risonet.npz") as stored:
        expected = {key: stored[f"{start}_f64_{key}"] for key in ("ce", "ortho", "params_sq_norm")}
        slices = {
            key.removeprefix(f"{start}_f64_param_"): stored[key]
            for key in stored.files
            if key.startswith(f"{start}_f64_param_")
        }
    model = STARTS[start](fixture.state_dict)
    model.head.get_layer("head_dropout").rate = 0.0
    compile_classifier(model, OFFICIAL, steps_per_epoch=1)
    images = generator(1).standard_normal((8, 3, 32, 32)).astype("float32").transpose(0, 2, 3, 1)
    labels = np.arange(8)

    losses, penalties = [], []
    for step in range(STEPS + 1):
        logs = model.evaluate(images, labels, batch_size=8, verbose=0, return_dict=True)
        losses.append(logs["cross_entropy"])
        penalties.append(float(model_penalty(model)))
        if step < STEPS:
            model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)

    np.testing.assert_allclose(losses, expected["ce"], rtol=5e-5)
    np.testing.assert_allclose(penalties, expected["ortho"], rtol=1e-4, atol=1e-8)
    squares = sum(
        float((keras.ops.convert_to_numpy(v).astype("float64") ** 2).sum())
        for v in model.trainable_variables
    )
    assert squares == pytest.approx(float(expected["params_sq_norm"]), rel=1e-6)
    assert slices
    for key, values in slices.items():
        # The original itself differs by this much between float32 and float64.
        np.testing.assert_allclose(slice_of(model, key), values, rtol=1e-4, atol=2e-4)


def slice_of(model: Classifier, key: str) -> np.ndarray:
    """The stored positions of one tensor, in PyTorch's layout."""
    module, _, last = key.rpartition(".")
    name = module.replace(".", "_")
    part = model.head if name.startswith("head") else model.backbone
    layer = part.get_layer(name)
    variable = {"srelu_bias": "shift", "scale": "scale", "weight": "kernel", "bias": "bias"}[last]
    values = keras.ops.convert_to_numpy(getattr(layer, variable))
    # (height, width, in, out) -> (out, in, height, width), and (in, out) -> (out, in).
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(values.ndim, tuple(range(values.ndim)))
    flat = values.transpose(axes).ravel()
    if flat.size <= 64:
        return flat
    return flat[(np.arange(64) * (flat.size - 1)) // 63]
