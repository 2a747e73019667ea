"""Measure smoothness and covariate shift on Keras's backend, and write it to an npz file.

KERAS_BACKEND=jax python -m tests.multibackend.measuring numbers.npz
"""

import sys
import zlib

import keras
import numpy as np

from isozoo.diagnostics.callbacks import (
    ActivationsCallback,
    CovariateShiftCallback,
    DistancesCallback,
    SmoothnessCallback,
)
from isozoo.diagnostics.landscapes import landscape
from isozoo.diagnostics.surface import LossSurface
from isozoo.training.checkpoint import values_of

CLASSES, BATCH = 3, 6


def drawn(key: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(key.encode())).normal(size=shape).astype("float32")


def network(dropout: float) -> keras.Model:
    """Return a network of the same weights on every backend, with momentum."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv1"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("tanh"),
            layers.Conv2D(5, 3, strides=2, name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(dropout),
            layers.Dense(CLASSES, name="dense"),
        ],
        name="small",
    )
    for layer in model.layers:
        for variable in layer.trainable_variables:
            key, shape = f"{layer.name}/{variable.name}", tuple(variable.shape)
            if len(shape) > 1:
                variable.assign(drawn(key, shape) / np.sqrt(np.prod(shape[:-1]), dtype="float32"))
            else:
                variable.assign(0.1 * drawn(key, shape) + (variable.name == "gamma"))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def main(path: str) -> None:
    images, labels = drawn("images", (2 * BATCH, 8, 8, 3)), np.arange(2 * BATCH) % CLASSES
    batch = images[:BATCH], labels[:BATCH]

    def trained(callbacks: list, dropout: float) -> tuple[keras.Model, list[np.ndarray]]:
        model = network(dropout)
        model.fit(
            images, labels, batch_size=BATCH, epochs=2, shuffle=False, verbose=0,
            callbacks=callbacks,
        )  # fmt: skip
        return model, values_of([*model.variables, *model.optimizer.variables])

    callbacks = {
        "exact": SmoothnessCallback([0, 3], batch),
        "notebook": SmoothnessCallback([0, 3], batch, "notebook", {"scales": [0.5, 2.5]}),
        "shift": CovariateShiftCallback([0, 3], batch),
        "shift_notebook": CovariateShiftCallback([3], batch, {"variant": "notebook"}),
        "activations": ActivationsCallback([0, 3], batch),
        "distances": DistancesCallback([1]),
    }
    model, _ = trained(list(callbacks.values()), dropout=0.0)
    found = {name: callback.result() for name, callback in callbacks.items()}
    found["landscape"] = landscape(model, *batch, points=3)
    numbers = {
        f"{name}/{field}": value
        for name, result in found.items()
        for field, value in vars(result).items()
        if isinstance(value, np.ndarray)
    }
    # With dropout the backends draw differently; that nobody looked must hold on each of them.
    watched = [SmoothnessCallback([0, 2], batch), CovariateShiftCallback([1, 3], batch)]
    _, one = trained(watched, dropout=0.5)
    _, other = trained([], dropout=0.5)
    alike = [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]
    # Unseeded dropout draws from a generator that all share, on some backends.
    surface = LossSurface(network(dropout=0.5), *batch, training=True)
    there = surface.values()
    steady = [surface.loss(there), surface.loss(there), surface.gradient(there)[0]]
    np.savez(path, **numbers, alike=np.array(alike), steady=np.array(steady))


if __name__ == "__main__":
    main(*sys.argv[1:])
