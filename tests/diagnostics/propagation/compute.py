"""Compute propagation that must not depend on Keras's backend, and write it to a file.

KERAS_BACKEND=jax python -m tests.diagnostics.propagation.compute numbers.json
"""

import json
import sys

from isozoo.diagnostics.propagation.models import model_propagation
from isozoo.diagnostics.propagation.simulation import simulate
from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.variables import named_variables
from tests.multibackend.compute import drawn, weight

KINDS = ("bn-res", "gn-ff", "isonet-orthogonal")
#: SReLU and max-pools are differentiated by rule and by the backend; statistics are an image's.
NETWORKS = ("r-isonet-8", "fixup-8", "resnet-bin-8", "resnet-gn-8")
CURVES = ("log_chi", "log_nu2", "log_mu4", "reff_signal", "reff_noise")


def numbers() -> dict[str, list[float]]:
    images = drawn("images", (6, 16, 16, 3))
    found = {
        kind: simulate(kind, images, width=8, depth=4, batch=4, simulations=1) for kind in KINDS
    }
    for name in NETWORKS:
        model = Classifier(architecture(name, classes=3, dropout=0.0))
        for key, variable in named_variables(model).items():
            variable.assign(weight(key, tuple(variable.shape)))
        for training in (False, True):
            found[f"{name}, {training}"] = model_propagation(
                model, images, repeats=1, training=training
            )
    return {
        f"{key} {name}": result.curve(name).mean.tolist()
        for key, result in found.items()
        for name in CURVES
    }


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump(numbers(), file)
