"""The first prediction: a process is started, classifies one picture and ends."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from isozoo.benchmark.machine import peak_of
from isozoo.benchmark.measures import Task
from isozoo.benchmark.work.exporting import exported
from isozoo.benchmark.worker import Work
from isozoo.errors import BenchmarkError

#: What a user of `keras.applications` would write to classify one picture.
APPLICATION = """
import sys, keras, numpy
from PIL import Image
model = keras.applications.{name}(weights=None)
picture = Image.open(sys.argv[1]).convert("RGB").resize(model.input_shape[1:3])
print(model.predict(numpy.asarray(picture, "float32")[None], verbose=0).argmax())
"""


def own(task: Task) -> Work:
    """Prepare ``isozoo predict PICTURE``, by Keras or with an exported network."""
    asked, model = task.contender.preparation, task.contender.name
    if asked.runtime != "keras":
        model = str(exported(task))
    elif asked.dtype != "float32":
        raise BenchmarkError(
            f"{task.contender.text}: isozoo predicts in the weights' own dtype; choose a runtime, "
            "such as @openvino-bfloat16"
        )
    return _process("-m", "isozoo", "predict", _picture(), "--model", model)


def application(task: Task) -> Work:
    """Prepare the same with a network of `keras.applications`, untrained."""
    return _process("-c", APPLICATION.format(name=task.contender.name), _picture())


def bare_import(task: Task) -> Work:
    """Prepare a process that imports a module and ends."""
    return _process("-c", f"import {task.contender.name}")


def _process(*arguments: str) -> Work:
    peaks = [0]

    def repeat() -> None:
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=said
            )
            # Unlike Popen.wait it tells how much memory this child held.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            words = said.read().decode("utf-8", "replace").splitlines()
        if process.returncode:
            raise BenchmarkError(" | ".join(words[-3:]))
        peaks.append(peak_of(usage))

    return Work(repeat, peak=lambda: max(peaks), device=lambda: None)


def _picture() -> str:
    """Write a picture of the size of ImageNet's for as long as this process lives; its path."""
    handle, path = tempfile.mkstemp(suffix=".jpg")
    pixels = np.random.default_rng(0).integers(256, size=(375, 500, 3), dtype="uint8")
    with os.fdopen(handle, "wb") as stream:
        Image.fromarray(pixels).save(stream, "jpeg")
    atexit.register(os.unlink, path)
    return path
