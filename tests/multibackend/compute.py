"""Compute what must not depend on Keras's backend, and write it to an npz file.

    KERAS_BACKEND=jax python -m tests.multibackend.compute numbers.npz

Run with the TensorFlow backend and `tests/golden/backends.npz` it renews what the others are
compared with.
"""

import sys
import zlib
from typing import Any

import keras
import numpy as np

from isozoo.models.classifier import Classifier
from isozoo.models.variables import named_values, named_variables
from isozoo.orthogonality import draw_images, probe, smaller_side_first
from isozoo.regularizers import METHODS, model_penalty, orthogonality_penalty
from isozoo.training.recipe import Recipe
from isozoo.training.setup import compile_classifier

NETWORKS = ("r-isonet-8", "isonet-8", "resnet-8", "fixup-8", "resnet-bin-8")
#: R-ISONets with other parts than their own.
PARTS = {
    "prelu": {"activation": "prelu", "conv_bias": True},
    "gelu": {"activation": "gelu", "residual_scale": 0.5, "residual_scale_trainable": False},
    "maxout": {"activation": "maxout"},
}
#: Kernel shapes (height, width, channels, filters) and strides.
KERNELS = (((3, 3, 6, 6), 1), ((3, 3, 4, 8), 2), ((1, 1, 8, 4), 2), ((2, 4, 5, 7), (1, 2)))
BATCH, CLASSES = 8, 5


def drawn(key: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(key.encode())).normal(size=shape).astype("float32")


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the value of a variable: a function of its name and shape alone."""
    z = drawn(key, shape)
    match key.rpartition("/")[2]:
        case "kernel":
            return z / np.sqrt(np.prod(shape[:-1]), dtype="float32")
        case "shift":
            return 0.1 * z - 1
        case "slope":
            return 0.1 * z + 0.25
        case "gamma" | "scale":
            return 0.1 * z + 0.8
        case "gate":
            return np.clip(0.3 * z + 0.5, 0, 1)
        case "moving_variance":
            return 0.1 * np.abs(z) + 1
        case "beta" | "bias" | "moving_mean":
            return 0.1 * z
    raise ValueError(f"no rule draws {key}")


def slice_of(value: np.ndarray) -> np.ndarray:
    """Return 64 evenly spread elements, or all if there are fewer."""
    flat = value.ravel()
    return flat if flat.size <= 64 else flat[np.arange(64) * (flat.size - 1) // 63]


def tensorflow_gradient(function, value: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    x = tf.constant(value)
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = function(x)
    return np.asarray(tape.gradient(result, x))


def jax_gradient(function, value: np.ndarray) -> np.ndarray:
    import jax

    return np.asarray(jax.grad(function)(value))


def torch_gradient(function, value: np.ndarray) -> np.ndarray:
    import torch

    x = torch.tensor(value, requires_grad=True)
    function(x).backward()
    return x.grad.numpy()


GRADIENTS = {
    "tensorflow": tensorflow_gradient,
    "jax": jax_gradient,
    "torch": torch_gradient,
}


def tensorflow_second(function, value: np.ndarray, direction: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
        return tf.reduce_sum(tape.gradient(result, x) * direction)

    return tensorflow_gradient(slope, value)


def jax_second(function, value: np.ndarray, direction: np.ndarray) -> np.ndarray:
    import jax

    return jax_gradient(lambda x: (jax.grad(function)(x) * direction).sum(), value)


def torch_second(function, value: np.ndarray, direction: np.ndarray) -> np.ndarray:
    import torch

    def slope(x):
        (gradient,) = torch.autograd.grad(function(x), x, create_graph=True)
        return (gradient * torch.tensor(direction)).sum()

    return torch_gradient(slope, value)


SECOND = {
    "tensorflow": tensorflow_second,
    "jax": jax_second,
    "torch": torch_second,
}

RECIPE = {
    "tag": "backends",
    "dataset": "noise",
    "optimizer": {"learning_rate": 0.05},
    "schedule": {"name": "constant"},
    "phases": [{"epochs": 1, "size": 32}],
    "model": {"name": "r-isonet-8", "dropout": 0.0},
}


def of_kernels() -> dict[str, np.ndarray]:
    """Return the penalties of kernels and their gradients, by both methods."""
    numbers = {}
    gradient = GRADIENTS[keras.backend.backend()]
    for shape, strides in KERNELS:
        for condition in ("paper", "exact"):
            for method in METHODS:

                def penalty(kernel, strides=strides, condition=condition, method=method):
                    return orthogonality_penalty(kernel, strides, condition, method)

                kernel = drawn(str(shape), shape) / np.float32(4)
                key = f"kernel {shape} {strides} {condition} {method}"
                value = penalty(keras.ops.convert_to_tensor(kernel))
                numbers[f"{key} penalty"] = keras.ops.convert_to_numpy(value)
                numbers[f"{key} gradient"] = gradient(penalty, kernel)
    return numbers


def of_slopes() -> dict[str, np.ndarray]:
    """Return derivatives of the slope of penalties along a direction: second derivatives."""
    numbers = {}
    second = SECOND[keras.backend.backend()]
    for shape, strides in KERNELS[:2]:
        for method in METHODS:

            def penalty(kernel, strides=strides, method=method):
                return orthogonality_penalty(kernel, strides, method=method)

            kernel, direction = drawn(str(shape), shape) / np.float32(4), drawn("slope", shape)
            numbers[f"kernel {shape} {strides} {method} slope"] = second(penalty, kernel, direction)
    return numbers


def of_dtypes() -> dict[str, np.ndarray]:
    """Return the bytes of a number of a kernel, given as float64, and of its penalty."""
    kernel = keras.ops.convert_to_tensor(drawn("dtype", (1, 1, 2, 2)).astype("float64"))
    values = [kernel, *(orthogonality_penalty(kernel, method=method) for method in METHODS)]
    return {"dtypes": np.array([keras.ops.convert_to_numpy(value).itemsize for value in values])}


def of_images() -> dict[str, np.ndarray]:
    """Return estimates of penalties from given images, and their gradients."""
    numbers = {}
    gradient = GRADIENTS[keras.backend.backend()]
    for shape, strides in KERNELS:
        pair = (strides, strides) if isinstance(strides, int) else strides
        kernel = drawn(str(shape), shape) / np.float32(4)
        first = smaller_side_first(keras.ops.convert_to_tensor(kernel), pair)
        images = np.sign(drawn("images", tuple(draw_images(first, pair, 3, seed=0).shape)))

        def estimate(kernel, pair=pair, images=images):
            kernel = smaller_side_first(keras.ops.convert_to_tensor(kernel), pair)
            return probe(kernel, pair, keras.ops.convert_to_tensor(images))

        value = estimate(kernel)
        numbers[f"kernel {shape} {strides} probe penalty"] = keras.ops.convert_to_numpy(value)
        numbers[f"kernel {shape} {strides} probe gradient"] = gradient(estimate, kernel)
    return numbers


def of_states() -> dict[str, np.ndarray]:
    """Return how the state of estimates moves in training, and whether it is resumed.

    The images drawn are another backend's own, so the losses are only compared with each other.
    """
    recipe = Recipe.from_dict({**RECIPE, "penalty": {"method": "probe", "probes": 2, "every": 2}})
    images, labels = drawn("images", (BATCH, 32, 32, 3)), np.arange(BATCH, dtype="int32") % CLASSES

    def compiled() -> Classifier:
        model = Classifier(recipe.architecture(CLASSES), data_format="channels_last")
        for key, variable in named_variables(model).items():
            variable.assign(weight(key, tuple(variable.shape)))
        compile_classifier(model, recipe, steps_per_epoch=1)
        return model

    def losses(model: Classifier) -> np.ndarray:
        history = model.fit(images, labels, batch_size=2, epochs=1, shuffle=False, verbose=0)
        return np.array(history.history["loss"])

    model, resumed = compiled(), compiled()
    losses(model)
    for old, new in zip(model.variables, resumed.variables, strict=True):
        new.assign(old)
    for old, new in zip(model.optimizer.variables, resumed.optimizer.variables, strict=True):
        new.assign(old)
    calls = [keras.ops.convert_to_numpy(each.state)[1] for each in model.penalty_states]
    return {"state calls": np.array(calls), "state resumed": losses(resumed) / losses(model)}


def of_network(name: str, label: str, **parts: Any) -> dict[str, np.ndarray]:
    """Return a network's answers, and its gradients and weights after one step of training."""
    recipe = Recipe.from_dict({**RECIPE, "model": {"name": name, "dropout": 0.0, **parts}})
    model = Classifier(recipe.architecture(CLASSES), data_format="channels_last")
    for key, variable in named_variables(model).items():
        variable.assign(weight(key, tuple(variable.shape)))
    images = drawn("images", (BATCH, 32, 32, 3))
    numbers = {
        f"{label} logits": keras.ops.convert_to_numpy(model(images, training=False)),
        f"{label} penalty": keras.ops.convert_to_numpy(model_penalty(model)),
    }
    compile_classifier(model, recipe, steps_per_epoch=1)
    labels = np.arange(BATCH, dtype="int32") % CLASSES
    history = model.fit(images, labels, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    numbers |= {f"{label} {key}": np.array(value) for key, value in history.history.items()}
    # After one step the velocity is the gradient, with the weight decay that TorchSGD adds to it.
    trained = [key for key, v in named_variables(model).items() if v.trainable]
    for key, velocity in zip(trained, model.optimizer.velocities, strict=True):
        numbers[f"{label} gradient {key}"] = slice_of(
            np.array(keras.ops.convert_to_numpy(velocity))
        )
    for key, value in named_values(model).items():
        numbers[f"{label} trained {key}"] = slice_of(value)
    return numbers


def main(path: str) -> None:
    numbers = of_kernels() | of_slopes() | of_dtypes() | of_images() | of_states()
    for name in NETWORKS:
        numbers |= of_network(name, name)
    for label, parts in PARTS.items():
        numbers |= of_network("r-isonet-8", label, **parts)
    np.savez_compressed(path, allow_pickle=False, **numbers)


if __name__ == "__main__":
    main(sys.argv[1])
