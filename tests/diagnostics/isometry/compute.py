"""Compute what of isometry must not depend on Keras's backend, and write it to a file.

KERAS_BACKEND=jax python -m tests.diagnostics.isometry.compute numbers.json
"""

import json
import sys

import numpy as np

from isozoo.diagnostics.gradients import loss_and_gradients
from isozoo.diagnostics.isometry import measure_isometry, measure_jacobian
from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.variables import named_variables
from tests.multibackend.compute import drawn, weight

#: SReLU has a gradient of its own on TensorFlow; the last is of plain operations and ReLU.
NETWORKS = ("r-isonet-8", "resnet-8", "fixup-8")
LABELS = np.array([0, 1, 2, 1])


def numbers() -> dict[str, list[float]]:
    images, found = drawn("images", (4, 8, 8, 3)), {}
    for name in NETWORKS:
        model = Classifier(architecture(name, classes=3, dropout=0.0))
        for key, variable in named_variables(model).items():
            variable.assign(weight(key, tuple(variable.shape)))
        for training in (False, True):
            flows = measure_isometry(model, images, LABELS, training=training).networks[0]
            for way in ("signals", "gradients"):
                for field, values in getattr(flows, way)._asdict().items():
                    found[f"{name} {training} {way} {field}"] = values.tolist()
            loss, slopes = loss_and_gradients(model, images, LABELS, training=training)
            found[f"{name} {training} loss"] = [loss, *(float(np.abs(g).sum()) for g in slopes)]
        jacobian = measure_jacobian(model, images[:1], count=3).networks[0]
        found[f"{name} jacobian"] = [*jacobian.values[0].tolist(), jacobian.frobenius[0]]
    return found


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump(numbers(), file)
