"""The study of VGG: what it says it trains, a run of the smallest, and its verdicts."""

import dataclasses
import json

import numpy as np
import pytest

from isozoo.data import InMemoryImages
from isozoo.errors import ExperimentError, UnknownNameError
from isozoo.experiments import vgg, vgg_scales
from isozoo.models import architecture
from isozoo.models.sizes import measure as sizes_of

COUNT = 24


@pytest.fixture(scope="module")
def samples():
    pixels = np.random.default_rng(0).integers(0, 255, (COUNT, 32, 32, 3), np.uint8)
    images = InMemoryImages(pixels, np.arange(COUNT) % 2, ["cat", "dog"])
    return {"train": images, "val": images}


@pytest.fixture(scope="module")
def study(samples, tmp_path_factory):
    """A study of networks of a sixteenth of the width, two steps long."""
    small = vgg.scales()["small"]
    tiny = dataclasses.replace(
        small,
        networks=("vgg-13-w4", "vgg-bn-13-w4"),
        every=2,
        landscape_points=3,
        landscape_images=10,
        recipe={**small.recipe, "batch_size": 12, "phases": [{"epochs": 2, "size": 32}]},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "scales", lambda: {"small": tiny})
        return vgg.vgg_study(samples, tmp_path_factory.mktemp("study"))


def test_the_notebooks_scale_is_the_notebooks():
    scale = vgg.scales()["notebook"]
    for name in scale.networks:
        recipe = scale.recipe_of(name)
        assert (recipe.epochs, recipe.batch_size) == (39, 128)
        optimizer = recipe.optimizer
        assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay) == (
            "sgd", 0.035, 0.0
        )  # fmt: skip
        assert optimizer.own == {"momentum": 0.9, "nesterov": False}
        assert recipe.architecture(10).initializer == "xavier-normal"
        augment = recipe.augmentation(32)
        assert (augment.crop_padding, augment.flip, augment.mixup) == (0, False, 0.0)
    assert sizes_of("vgg-13")["parameters"] - 990 * 97 == 9_464_522
    assert architecture("vgg-bn-13").normalization == "batch"


@pytest.mark.slow
def test_both_networks_are_measured(study):
    assert (study.plain.network, study.normalised.network) == ("vgg-13-w4", "vgg-bn-13-w4")
    for found in (study.plain, study.normalised):
        assert len(found.accuracy) == len(found.loss) == 2
        for part in (found.exact, found.notebook, found.shift, found.activations):
            assert part.steps.tolist() == [1, 3]
        assert found.exact.variant == found.shift.variant == "exact"
        assert found.notebook.variant == found.shift_notebook.variant == "notebook"
        assert found.distances.steps.tolist() == [4]
        assert (found.distances.distance > 0).all()
        assert found.landscape.images == 10
    assert study.images == COUNT


@pytest.mark.slow
def test_a_study_is_shown_and_read_again(study):
    again = vgg.Study.from_json(json.loads(json.dumps(study.to_json())))
    assert again.to_json() == study.to_json()
    assert again.table().row_count == 1 + len(vgg.COMPARED)
    again.plot()


@pytest.mark.slow
def test_less_is_smoother_but_for_cosines(study):
    for (name, plain, normalised, smoother), (_, less, _) in zip(
        study.compared(), vgg.COMPARED, strict=True
    ):
        assert smoother == ((normalised < plain) if less else (normalised >= plain)), name
    assert [name for name, less, _ in vgg.COMPARED if not less] == [
        "covariate shift, cosine", "covariate shift, cosine, notebook"
    ]  # fmt: skip


def test_what_is_not_there_is_refused(samples, tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="unknown scale 'smal'; did you mean 'small'"):
        vgg.vgg_study(samples, scale="smal")
    path = tmp_path / "vgg.toml"
    path.write_text("[small]\nabout = 'a'\nevry = 3\n")
    monkeypatch.setattr(vgg_scales, "_SCALES", path)
    with pytest.raises(ExperimentError, match=r"unknown setting in vgg\.toml, small 'evry'; did"):
        vgg_scales.scales()
