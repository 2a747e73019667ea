"""Compute what of filters, spectra and pruning must not depend on Keras's backend.

KERAS_BACKEND=jax python -m tests.diagnostics.pruning.compute numbers.json
"""

import json
import sys

import keras
import numpy as np

from isozoo.diagnostics import filters, prune, spectra
from isozoo.diagnostics.pruning import weakest_filters
from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.variables import named_variables
from tests.multibackend.compute import drawn, weight

NETWORKS = {"r-isonet-8": "channels_last", "resnet-8": "channels_first"}


def numbers() -> dict[str, list[float]]:
    images, found = drawn("images", (4, 16, 16, 3)), {}
    for name, form in NETWORKS.items():
        model = Classifier(architecture(name, classes=3, dropout=0.0), data_format=form)
        for key, variable in named_variables(model).items():
            variable.assign(weight(key, tuple(variable.shape)))
        batch = images if form == "channels_last" else np.moveaxis(images, -1, 1)
        found |= {f"{name} {key}": value for key, value in of_model(model, batch).items()}
    return found


def of_model(model: keras.Model, images: np.ndarray) -> dict[str, list[float]]:
    """Return a model's filters and spectra, and the answers of a smaller one."""
    report = filters(model, images)
    found = {}
    for row in report.layers:
        for field in ("minimum", "maximum", "on"):
            found[f"{row.name} {field}"] = getattr(row, field).tolist()
    for layer in spectra(model, 16).networks[0].layers:
        found[f"{layer.name} spectrum"] = [*layer.quantiles.tolist(), *layer.nearest]
    # By chance, which backends share: equal scores of another kind could go either way.
    chosen = weakest_filters(model, report, 0.25, "random", tied=True)
    pruned = prune(model, chosen, images)
    found["removed"] = [float(i) for numbers in pruned.removed.values() for i in numbers]
    logits = keras.ops.convert_to_numpy(pruned.model(images, training=False))
    return {**found, "logits": logits.ravel().tolist()}


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump(numbers(), file)
