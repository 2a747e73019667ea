"""Measure every network and write `isozoo/models/sizes.json`, which the catalog reads.

    python tools/model_sizes.py            # write it
    python tools/model_sizes.py --check    # fail if it is stale

`parameters` counts the trained values, with the 1000 classes a network has unless told otherwise.
`gflops` is multiply-adds / 1e9 of one image of the architecture's usual size, counted as
torchvision counts them: convolutions and dense layers, without biases, activations and pooling.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import keras

from isozoo.files import atomic_write
from isozoo.models import architecture, architecture_names
from isozoo.models.classifier import Classifier

SIZES = Path(__file__).resolve().parents[1] / "isozoo" / "models" / "sizes.json"


def multiply_adds(model: Classifier) -> int:
    """Return the multiplications of a model's convolutions and dense layers, for one image.

    Args:
        model: A classifier built for images of one size.
    """
    total = 0
    for layer in [*model.backbone.layers, *model.head.layers]:
        if isinstance(layer, keras.layers.Conv2D):
            spatial = layer.output.shape[1:-1]
            total += math.prod(spatial) * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total


def measure(name: str) -> dict[str, float]:
    """Build a network, without values for its weights, and return its entry of `sizes.json`."""
    described = architecture(name)
    shape = (described.image_size, described.image_size, described.channels)
    with keras.StatelessScope(initialize_variables=False):
        model = Classifier(described, input_shape=shape, data_format="channels_last")
    return {
        "parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables),
        "gflops": multiply_adds(model) / 1e9,
    }


def table() -> str:
    """Return the text of `sizes.json`, one line for each network."""
    rows = []
    for name in architecture_names():
        rows.append(f"  {json.dumps(name)}: {json.dumps(measure(name))}")
        # Keras keeps what it builds; hundreds of networks would fill the memory.
        keras.utils.clear_session()
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main() -> int:
    """Write the file, or check it; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure every network.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is stale")
    check = parser.parse_args().check
    text = table()
    if not check:
        atomic_write(SIZES, text)
    elif SIZES.read_text(encoding="utf-8") != text:
        print("sizes.json is stale; run: python tools/model_sizes.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
