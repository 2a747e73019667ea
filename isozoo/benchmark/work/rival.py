"""Rivals from a Python file of the user's.

The file has a function for each measure that it takes part in, which prepares whatever it likes and
returns a callable that does one repetition and comes back when the result is there:

- ``inference(name, batch_size, image_size)``: logits of one batch; `image_size` may be None;
- ``training(name, batch_size, image_size)``: one whole step;
- ``penalty(name)``: the penalty of all kernels of a network, and its gradient;
- ``input(name, batch_size, image_size, data)``: one batch of pictures;
- ``first(name)``: one picture classified by a process that is started for it.

`name` is all that stands behind the colon of the contender, variants too.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from isozoo.benchmark.measures import Task
from isozoo.benchmark.worker import Work
from isozoo.errors import BenchmarkError

#: The settings that each function is called with.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "inference": ("batch_size", "image_size"),
    "training": ("batch_size", "image_size"),
    "penalty": (),
    "input": ("batch_size", "image_size", "data"),
    "first": (),
}


def prepare(task: Task) -> Work:
    """Prepare a rival.

    Raises:
        BenchmarkError: The file has no function for the measure.
    """
    file = task.contender.file
    assert file is not None
    function = getattr(_module(file), task.measure, None)
    if function is None:
        raise BenchmarkError(
            f"{file} has no function {task.measure}(name, ...), which would prepare "
            f"{task.contender.name} for the measure '{task.measure}'"
        )
    names = ARGUMENTS[task.measure]
    repeat = function(task.contender.name, **{name: getattr(task.settings, name) for name in names})
    items = task.settings.batch_size if "batch_size" in names else 1
    return Work(repeat, items, task.settings.image_size)


def _module(file: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location("isozoo_rival", file)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up there
    assert specification.loader is not None
    specification.loader.exec_module(module)
    return module
