import keras
import numpy as np
import pytest

from isozoo.models.classifier import Classifier
from isozoo.training import Recipe
from isozoo.training.setup import SCHEDULES, compile_classifier, make_optimizer


def recipe_with(**changes) -> Recipe:
    least = {
        "tag": "demo",
        "dataset": "demo",
        "model": {"name": "r-isonet-8"},
        "phases": [{"epochs": 4, "size": 32}],
    }
    return Recipe.from_dict({**least, **changes})


@pytest.fixture
def model() -> Classifier:
    return Classifier(recipe_with().architecture(classes=3))


def test_cosine_rises_in_the_warm_up_and_falls_to_nothing():
    recipe = recipe_with(
        optimizer={"learning_rate": 0.2}, schedule={"name": "cosine", "warmup_epochs": 1}
    )
    rate = SCHEDULES["cosine"](recipe, 10)
    assert [round(float(rate(step)), 4) for step in (0, 5, 10, 25, 40)] == [0, 0.1, 0.2, 0.1, 0]


def test_adamw_decays_kernels_and_not_the_shifts(model):
    recipe = recipe_with(
        optimizer={"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5},
        schedule={"name": "constant"},
    )
    optimizer = make_optimizer(model, recipe, steps_per_epoch=1)
    shift = model.backbone.get_layer("stem_relu").shift
    kernel = model.backbone.get_layer("stem_conv").kernel
    before = kernel.numpy()
    variables = model.trainable_variables
    optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)
    np.testing.assert_array_equal(shift.numpy(), -1.0)
    np.testing.assert_allclose(kernel.numpy(), before * (1 - 0.1 * 0.5), rtol=1e-6)


def test_the_penalty_is_computed_as_the_recipe_says(model):
    penalty = {"method": "probe", "probes": 2, "every": 3}
    compile_classifier(model, recipe_with(seed=7, penalty=penalty), steps_per_epoch=1)
    kernels = [v for v in model.trainable_variables if v.regularizer is not None]
    for kernel in kernels:
        assert penalty.items() <= kernel.regularizer.get_config().items()
    seeds = {int(state.state.numpy()[0]) for state in model.penalty_states}
    assert len(seeds) == len(kernels)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_one_step_in_mixed_precision(dtype):
    recipe = recipe_with(model={"name": "r-isonet-8", "dtype": dtype})
    model = Classifier(recipe.architecture(classes=3), dtype=dtype)
    compile_classifier(model, recipe, steps_per_epoch=1)
    before = [v.numpy() for v in model.trainable_variables]
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    logs = model.fit(images, np.arange(4) % 3, batch_size=4, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    assert any(
        (v.numpy() != old).any() for v, old in zip(model.trainable_variables, before, strict=True)
    )
