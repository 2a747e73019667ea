"""The process that exports a contender: ``python -m isozoo.benchmark.work.exporting FOLDER``.

It reads the task as JSON from stdin, and writes the exported network to ``FOLDER/exported``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from isozoo.benchmark.measures import Task
from isozoo.benchmark.work import networks
from isozoo.export import export_model

#: Random pictures that int8 is calibrated on.
PICTURES = 16


def main(folder: Path, task: Task) -> None:
    """Export the network of a task."""
    asked = task.contender.preparation
    model = networks.classifier(task, dtype="float32")
    if asked.fused:
        model = model.fuse()
    calibration = None
    if asked.dtype == "int8":
        # The ranges that it finds decide the accuracy, not the speed.
        shape = (PICTURES, *model.input_shape[1:])
        calibration = np.random.default_rng(3).integers(256, size=shape, dtype="uint8")
    export_model(model, folder / "exported", asked.runtime, asked.dtype, calibration)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Task.from_json(json.load(sys.stdin)))
