"""The study of VGG: what it says it trains, a run of the smallest, and its verdicts."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from isozoo.data import InMemoryImages
from isozoo.errors import ExperimentError, UnknownNameError
from isozoo.experiments import vgg, vgg_pairs, vgg_scales
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
    assert again.table().row_count == 1 + len(vgg_pairs.COMPARED)
    again.plot()


@pytest.mark.slow
def test_only_the_network_changes_what_a_probe_meets(study):
    for found in (study.plain, study.normalised):
        np.testing.assert_array_equal(found.activations.drift[:, 0], 0)
        assert (found.activations.drift[:, 1:] > 0).all()


@pytest.mark.slow
def test_two_moments_decide_nothing(study):
    moments = {pair.name: pair.moments for pair in study.compared()}
    assert {pair.favours for pair in study.compared()} == {"undecided"}
    assert moments["effective beta-smoothness"] == 2
    assert moments["drift of what later layers are given"] == 1
    assert moments["rise of the landscape at 1/2"] == 1


@pytest.mark.parametrize(
    ("smaller", "moments", "less", "favours"),
    [
        (5, 5, True, "BN"), (4, 5, True, "BN"), (3, 5, True, "undecided"), (1, 5, True, "plain"),
        (4, 5, False, "plain"), (0, 5, False, "BN"), (3, 3, True, "undecided"),
        (1, 1, True, "undecided"), (4, 4, True, "BN"), (3, 4, True, "undecided"),
    ],
)  # fmt: skip
def test_what_most_moments_agree_in_is_decided(smaller, moments, less, favours):
    plain = np.ones(moments)
    normalised = np.where(np.arange(moments) < smaller, 0.5, 100.0)
    pair = vgg_pairs.Pair("demo", less, plain, normalised)
    assert (pair.smaller, pair.moments, pair.favours) == (smaller, moments, favours)


def test_equal_numbers_are_in_nobodys_favour():
    assert vgg_pairs.Pair("demo", True, np.ones(5), np.ones(5)).favours == "undecided"


def test_what_was_stored_is_compared_step_by_step(root):
    """Of each measure the numbers of both networks, worked out from the file itself."""
    path = root / "benchmarks" / "results" / "diagnostics" / "vgg.json"
    stored = json.loads(path.read_text())
    pairs = {pair.name: pair for pair in vgg.Study.read(path).compared()}
    for name in ("plain", "normalised"):
        exact = {k: np.array(v) for k, v in stored[name]["exact"].items() if isinstance(v, list)}
        walked = np.outer(exact["learning_rate"] * exact["gradient_norm"], exact["scales"])
        beta = (exact["differences"] / walked).max(axis=1)
        width = exact["losses"].max(axis=1) - exact["losses"].min(axis=1)
        np.testing.assert_allclose(getattr(pairs["effective beta-smoothness"], name), beta)
        np.testing.assert_allclose(getattr(pairs["width of the loss range"], name), width)
        grid = np.array(stored[name]["landscape"]["losses"])
        there = [(a, b) for a in range(11) for b in range(11)
                 if 0.4 - 1e-9 <= np.hypot(a - 5, b - 5) / 5 <= 0.6 + 1e-9]  # fmt: skip
        rise = np.mean([grid[place] for place in there]) - grid[5, 5]
        assert len(there) == 20
        np.testing.assert_allclose(getattr(pairs["rise of the landscape at 1/2"], name), rise)


class Recording(keras.Sequential):
    """A network that keeps what it is trained on."""

    def train_step(self, data):
        self.seen.append(np.asarray(data[0]))
        return super().train_step(data)


def test_the_batch_measured_on_is_the_one_trained_on(samples, monkeypatch):
    """Those that are watched are drawn by number, those of training as `fit` goes."""
    small = vgg.scales()["small"]
    recipe = {**small.recipe, "batch_size": 6, "phases": [{"epochs": 2, "size": 32}]}
    scale = dataclasses.replace(small, every=2, landscape_images=4, recipe=recipe)
    layers = [keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()]
    network = Recording([*layers, keras.layers.Dense(2)])
    network.seen, watching = [], []
    network.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)

    class Stop(Exception):
        pass

    def fit(self, batches, *, callbacks, validation_data, **options):
        watching.extend(callbacks)
        network.fit(batches, **options)
        raise Stop

    monkeypatch.setattr(vgg.Classifier, "fit", fit)
    with pytest.raises(Stop):
        vgg.measure(scale, "vgg-13-w4", samples)
    exact, *_ = watching
    assert list(exact.at) == [1, 3, 5, 7]
    assert len(network.seen) == 8
    for step in exact.at:
        np.testing.assert_array_equal(exact.batch(step)[0], network.seen[step])
    assert not np.array_equal(network.seen[1], network.seen[5])


def test_what_is_not_there_is_refused(samples, tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="unknown scale 'smal'; did you mean 'small'"):
        vgg.vgg_study(samples, scale="smal")
    path = tmp_path / "vgg.toml"
    path.write_text("[small]\nabout = 'a'\nevry = 3\n")
    monkeypatch.setattr(vgg_scales, "_SCALES", path)
    with pytest.raises(ExperimentError, match=r"unknown setting in vgg\.toml, small 'evry'; did"):
        vgg_scales.scales()
