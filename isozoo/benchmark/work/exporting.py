"""Contenders in other runtimes, exported by a process of its own, which ends before any is timed.

``python -m isozoo.benchmark.work.exporting FOLDER`` is that process; it reads the task as JSON from
stdin. So neither its memory nor its threads are counted as the runtime's.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from isozoo.benchmark.measures import Task
from isozoo.errors import BenchmarkError

#: Random pictures that int8 is calibrated on: the ranges decide the accuracy, not the speed.
PICTURES = 16


def exported(task: Task) -> Path:
    """Return a folder with the network of a task, which is there until this process ends.

    Raises:
        BenchmarkError: The network could not be exported.
    """
    place = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder = Path(place) / "exported"
    done = subprocess.run(
        [sys.executable, "-m", "isozoo.benchmark.work.exporting", str(folder)],
        input=json.dumps(task.to_json()),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"export failed: {' | '.join(done.stderr.splitlines()[-3:])}")
    return folder


def main(folder: Path, task: Task) -> None:
    """Export the network of a task."""
    import numpy as np

    from isozoo.benchmark.work import networks
    from isozoo.export import export_model

    asked = task.contender.preparation
    model = networks.classifier(task, dtype="float32")
    if asked.fused:
        model = model.fuse()
    calibration = None
    if asked.dtype == "int8":
        shape = (PICTURES, *model.input_shape[1:])
        calibration = np.random.default_rng(3).integers(256, size=shape, dtype="uint8")
    export_model(model, folder, asked.runtime, asked.dtype, calibration)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Task.from_json(json.load(sys.stdin)))
