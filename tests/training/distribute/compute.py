"""Train small networks under strategies and write their weights and logs.

    python -m tests.training.distribute.compute one,mirrored numbers.npz

TF_CONFIG or JAX's variables say who trains together; with several workers each writes what it has.
Two virtual processors stand for two GPUs where a strategy takes all that one process sees.
"""

import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

CLASSES = ("one", "two", "three")
RECIPE = """
tag = "same"
batch_size = 8

[model]
name = "{name}"
dropout = 0.0
{model}

[optimizer]
learning_rate = 0.1
weight_decay = 0.01
global_clipnorm = 0.5

[schedule]
name = "cosine"
warmup_epochs = 1

[augment]
mixup = 0.4

[preprocessing]
resize = 18
size = 16

[[phases]]
epochs = 2
size = 16
"""
#: What is set of the model, and the tables that follow, by network.
NETWORKS = {
    "isonet-8": ("orthogonality = 0.1", ""),
    # Random numbers that all replicas have to draw alike.
    "r-isonet-8": ("orthogonality = 0.1", '[penalty]\nmethod = "probe"\nevery = 2'),
    "resnet-8": ("", ""),
    "resnet-bin-8": ("", ""),
}


def samples(count: int, seed: int, damaged: tuple[int, ...] = ()):
    from isozoo.data import InMemoryImages

    rng = np.random.default_rng(seed)
    labels = [number % len(CLASSES) for number in range(count)]
    images = rng.integers(0, 120, (count, 18, 18, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label] += 100
    encoded = [b"damaged" if i in damaged else image for i, image in enumerate(images)]
    return InMemoryImages(encoded, labels, CLASSES)


def train_all(strategy: str, out: Path) -> dict[str, np.ndarray]:
    """Train every network for eight steps; return weights and logs by `network/strategy/what`."""
    from isozoo.training import train

    opened, found = opened_once(strategy), {}
    for name, (model, tables) in NETWORKS.items():
        recipe = out / f"{name}.toml"
        if opened.chief:
            recipe.write_text(RECIPE.format(name=name, model=model) + tables)
        opened.decide(lambda: None)
        run = train(recipe, data(), out / strategy, strategy=opened)
        found |= numbers(run, f"{name}/{strategy}")
    return found


@functools.cache
def opened_once(strategy: str):
    """Return a strategy: a second one of TensorFlow's would number its collectives as the first."""
    from isozoo.training.distribute import open_strategy

    return open_strategy(strategy)


def data():
    """Return data whose last validation batch has one image, fewer than there are replicas.

    Others are damaged, of which none has a part in the mean.
    """
    return {"train": samples(35, 0), "val": samples(19, 1, damaged=(5, 18))}


def numbers(run, prefix: str) -> dict[str, np.ndarray]:
    """Return the weights and the log of a run."""
    found = {
        f"{prefix}/weight{number:03d}": np.array(value)
        for number, value in enumerate(run.model.weights)
    }
    for key in ("loss", "accuracy", "val_loss", "val_accuracy", "val_cross_entropy"):
        found[f"{prefix}/{key}"] = np.array([row[key] for row in run.log])
    return found


def go_on(name: str, before: str, strategy: str, out: Path) -> dict[str, np.ndarray]:
    """Take the run of one strategy back to its first epoch, and go on from there under another."""
    from isozoo.training import train

    folder = f"{before} then {strategy}"
    shutil.copytree(out / before / f"{name}.same", out / folder / f"{name}.same")
    shutil.rmtree(out / folder / f"{name}.same" / "checkpoints" / "epoch-0002")
    shutil.rmtree(out / folder / f"{name}.same" / f"{name}.same")
    run = train(
        out / f"{name}.toml", data(), out / folder, resume=True, strategy=opened_once(strategy)
    )
    return numbers(run, f"{name}/{folder}")


def two_processors() -> None:
    """Let TensorFlow see two processors, as JAX does by XLA_FLAGS."""
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, halves)


def main(strategies: str, target: str, out: str) -> None:
    names = strategies.split(",")
    if "mirrored" in names:
        two_processors()
    found = {}
    for strategy in names:
        found |= train_all(strategy, Path(out))
    if names == ["one", "mirrored"]:
        found |= go_on("resnet-8", "one", "mirrored", Path(out))
        found |= go_on("resnet-8", "mirrored", "one", Path(out))
    np.savez(target, **found)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp()
    main(sys.argv[1], sys.argv[2], folder)
