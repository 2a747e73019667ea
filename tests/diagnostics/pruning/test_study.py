"""What pruning a classifier costs."""

import json

import numpy as np
import pytest

from isozoo import Classifier, architecture
from isozoo.data import InMemoryImages
from isozoo.diagnostics.pruning import FineTuning, PruningReport, prune_classifier
from isozoo.errors import DiagnosticsError

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def samples():
    """Dark pictures of one class, bright ones of the other."""
    images = RNG.integers(0, 100, (16, 32, 32, 3), np.uint8)
    images[::2] += 150
    return InMemoryImages(images, np.arange(16) % 2, ["bright", "dark"])


@pytest.fixture(scope="module")
def model():
    return Classifier(architecture("r-isonet-8", classes=2), ["bright", "dark"])


@pytest.mark.slow
def test_a_classifier_is_pruned_measured_and_trained_on(model, samples, tmp_path):
    tuning = FineTuning(epochs=4, learning_rate=0.02, batch_size=8)
    smaller, found = prune_classifier(
        model, samples, samples, share=0.5, tied=True, tuning=tuning, batch_size=8
    )
    assert list(found.accuracies) == ["before", "after", "fine-tuned"]
    assert found.accuracies["fine-tuned"] == 1.0
    assert found.parameters == (model.count_params(), smaller.count_params())
    assert found.multiply_adds[1] < 0.5 * found.multiply_adds[0]
    stem = next(width for width in found.widths if width.name == "backbone/stem_conv")
    assert (stem.before, stem.after) == (16, smaller.get_layer("stem_conv").filters)
    found.save(tmp_path)
    again = PruningReport.read(tmp_path / "pruning.json")
    assert again.to_json() == json.loads(json.dumps(found.to_json()))
    assert found.table().row_count == 5


def test_a_network_without_dead_filters_is_left_alone(model, samples):
    with pytest.raises(DiagnosticsError, match="filters by 'dead', found none on 16 images"):
        prune_classifier(model, samples, samples, by="dead")
