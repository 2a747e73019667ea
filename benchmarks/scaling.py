"""Contenders that train on several devices, and the same work without anything to tell each other.

    isozoo benchmark --suite benchmarks/scaling.toml --out benchmarks/results/scaling.json

A contender is `NETWORK@GROUP`, a row of `GROUPS`. All groups do one step on the same number of
images. Each worker has one core to itself, so that two of them have twice what one has. `alone` are
two processes that do each half of a step and nothing else: what the others take longer than it is
what summing the gradients costs, the waiting for each other included.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import IO, NamedTuple, cast


class Group(NamedTuple):
    """A row of `GROUPS`.

    Args:
        strategy: What each process trains with.
        processes: How many there are.
        devices: Devices of each; each has a core of its own.
        together: Whether the processes know of each other.
    """

    strategy: str = "one"
    processes: int = 1
    devices: int = 1
    together: bool = False

    @property
    def parts(self) -> int:
        """Into how many parts a batch is divided."""
        return self.processes * self.devices


GROUPS = {
    "one": Group(),
    "alone": Group(processes=2),
    "mirrored": Group("mirrored", devices=2),
    "multiworker": Group("multiworker", processes=2, together=True),
}


def training(name: str, batch_size: int, image_size: int | None) -> Callable[[], None]:
    """Start the processes of a group; return what lets all of them do one step.

    Args:
        name: `NETWORK@GROUP`.
        batch_size: Images of a step, of all processes together.
        image_size: Side of the images in pixels.
    """
    from isozoo.cluster.local import environments

    network, _, key = name.partition("@")
    group = GROUPS[key]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < group.parts:
        raise SystemExit(f"{name} needs {group.parts} cores, and there are {len(cores)}")
    members = []
    for index, variables in enumerate(environments(group.processes)):
        own = cores[index * group.devices : (index + 1) * group.devices]
        members.append(
            subprocess.Popen(
                [sys.executable, __file__, network, key, str(batch_size), str(image_size)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **(variables if group.together else {})},
                preexec_fn=lambda own=own: os.sched_setaffinity(0, own),
            )
        )

    def step() -> None:
        for member in members:
            stdin = cast(IO[bytes], member.stdin)
            stdin.write(b"step\n")
            stdin.flush()
        for member in members:
            if cast(IO[bytes], member.stdout).readline() != b"done\n":
                # Alone it would wait for the others at the next step.
                for other in members:
                    other.kill()
                raise SystemExit(f"a process of {name} ended with code {member.wait()}")

    return step


def member(network: str, key: str, batch_size: int, image_size: int) -> None:
    """Do steps as one process of a group: one for each line on stdin, and a line on stdout."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import numpy as np
    import tensorflow as tf

    from isozoo.models.architecture import architecture
    from isozoo.models.classifier import Classifier
    from isozoo.training.distribute import open_strategy
    from isozoo.training.recipe import Recipe
    from isozoo.training.setup import compile_classifier

    group = GROUPS[key]
    if group.devices > 1:
        (processor,) = tf.config.list_physical_devices("CPU")
        devices = [tf.config.LogicalDeviceConfiguration()] * group.devices
        tf.config.set_logical_device_configuration(processor, devices)
    strategy = open_strategy(group.strategy)
    recipe = Recipe.from_dict(
        {
            "tag": "scaling",
            "model": {"name": network},
            # So small that values which never were trained stay finite; it costs no time.
            "optimizer": {"learning_rate": 1e-5},
            "schedule": {"name": "constant"},
            "phases": [{"epochs": 1, "size": image_size}],
        }
    )
    with strategy.scope():
        model = Classifier(architecture(network), data_format="channels_last")
        compile_classifier(model, recipe, steps_per_epoch=1)
        strategy.prepare(model)
    rows = batch_size // group.processes
    rng = np.random.default_rng(group.together * strategy.index)
    images = rng.normal(size=(rows, image_size, image_size, 3)).astype("float32")
    labels = rng.integers(model.output_shape[-1], size=rows)
    batches = strategy.share(
        tf.data.Dataset.from_tensors((images, labels)).cache().repeat().prefetch(2)
    )
    model.fit(batches, steps_per_epoch=1, verbose=0)  # makes the step
    again = iter(batches)
    for _ in sys.stdin:
        # The loss as a number, which waits for the whole step.
        float(model.train_function(again)["loss"])
        print("done", file=answers, flush=True)
    # At a regular end TensorFlow's workers wait for one another.
    os._exit(0)


if __name__ == "__main__":
    member(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
