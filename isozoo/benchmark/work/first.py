"""The first prediction: a process is started, classifies one picture and ends."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from isozoo.benchmark.machine import peak_memory_of_children
from isozoo.benchmark.measures import Task
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
    """Prepare ``isozoo predict PICTURE``."""
    return _process("-m", "isozoo", "predict", _picture(), "--model", task.contender.name)


def application(task: Task) -> Work:
    """Prepare the same with a network of `keras.applications`, untrained."""
    return _process("-c", APPLICATION.format(name=task.contender.name), _picture())


def bare_import(task: Task) -> Work:
    """Prepare a process that imports a module and ends."""
    return _process("-c", f"import {task.contender.name}")


def _process(*arguments: str) -> Work:
    def repeat() -> None:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchmarkError(" | ".join(done.stderr.splitlines()[-3:]))

    return Work(repeat, peak=peak_memory_of_children)


def _picture() -> str:
    """Write a picture of the size of ImageNet's for as long as this process lives; its path."""
    handle, path = tempfile.mkstemp(suffix=".jpg")
    pixels = np.random.default_rng(0).integers(256, size=(375, 500, 3), dtype="uint8")
    with os.fdopen(handle, "wb") as stream:
        Image.fromarray(pixels).save(stream, "jpeg")
    atexit.register(os.unlink, path)
    return path
