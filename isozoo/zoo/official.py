"""Reads the original authors' PyTorch checkpoints, without PyTorch.

A layer of isozoo is named as the module of the original network, with underscores for dots, so
one table of variables per kind of layer says everything else. Fixup's authors name their modules
differently; a second table translates their keys first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from isozoo.data.labels import imagenet_classes
from isozoo.errors import DataError, WeightsError
from isozoo.models.architecture import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.variables import check_finite, named_variables
from isozoo.zoo.torchfile import state_dict_of


def _kernel(value: np.ndarray) -> np.ndarray:
    """Take (out, in, height, width) to (height, width, in, out)."""
    return value.transpose(2, 3, 1, 0)


def _matrix(value: np.ndarray) -> np.ndarray:
    return value.T


def _vector(value: np.ndarray) -> np.ndarray:
    return value.reshape(-1)


def _scalar(value: np.ndarray) -> np.ndarray:
    return value.reshape(())


Rule = tuple[str, Callable[[np.ndarray], np.ndarray]]

#: By layer class and last part of the key: our variable, and how its layout changes.
VARIABLES: dict[str, dict[str, Rule]] = {
    "Conv2D": {"weight": ("kernel", _kernel), "bias": ("bias", _vector)},
    "Dense": {"weight": ("kernel", _matrix), "bias": ("bias", _vector)},
    "BatchNormalization": {
        "weight": ("gamma", _vector),
        "bias": ("beta", _vector),
        "running_mean": ("moving_mean", _vector),
        "running_var": ("moving_variance", _vector),
    },
    "SReLU": {"srelu_bias": ("shift", _vector)},
    "ResidualScale": {"scale": ("scale", _scalar)},
    "ScalarBias": {"bias": ("bias", _scalar)},
}

#: Counters that a network does not need: used up by being ignored.
IGNORED = "num_batches_tracked"

#: Keys of hongyi-zhang/Fixup, outside its blocks and inside `layer<stage>.<block>.`.
FIXUP = {
    "conv1.weight": "stem.conv.weight",
    "bias1": "stem.bias.bias",
    "bias2": "head.bias.bias",
    "fc.weight": "head.fc.weight",
    "fc.bias": "head.fc.bias",
}
FIXUP_BLOCK = {
    "bias1a": "bias1a.bias",
    "conv1.weight": "f.a.weight",
    "bias1b": "f.bias1b.bias",
    "bias2a": "f.bias2a.bias",
    "conv2.weight": "f.b.weight",
    "bias2b": "f.bias2b.bias",
    "bias3a": "f.bias3a.bias",
    "conv3.weight": "f.c.weight",
    "bias3b": "f.bias3b.bias",
    "scale": "f.shared_scalar.scale",
    "downsample.weight": "proj.weight",
}


def load_state_dict(
    state_dict: Mapping[str, Any],
    name: str,
    *,
    labels: Sequence[str] | None = None,
    dropout: float | None = None,
    dtype: str | keras.DTypePolicy | None = None,
) -> Classifier:
    """Return a classifier with the weights of an original PyTorch checkpoint.

    Every key is used exactly once and every variable assigned exactly once. The number of classes
    is that of the checkpoint.

    Args:
        state_dict: Arrays or PyTorch tensors by key, as `HaozhiQi/ISONet` and
            `hongyi-zhang/Fixup` save them: bare or under `"net"`, with or without `module.` before
            each key.
        name: Name of the architecture, such as `"r-isonet-50"`.
        labels: One name per class; by default ImageNet's for 1000 classes, else numbers.
        dropout: Probability of dropping a pooled feature that the weights were trained with, in
            [0, 1); the family's if None.
        dtype: Dtype policy of the layers; Keras's default if None.

    Returns:
        The classifier.

    Raises:
        UnknownNameError: No such architecture; the nearest names are given.
        WeightsError: A key is left over, a variable gets no value, or a value has another shape
            or is NaN or infinite.
        DataError: There are more or fewer labels than classes.

    Example:
        >>> load_state_dict({"net": {"module.stem.conv.weight": np.ones((9, 3, 3, 3))}}, "isonet-8")
        Traceback (most recent call last):
        isozoo.errors.WeightsError: these are not the weights of isonet-8: no key ...
    """
    arrays = _normalised(state_dict)
    head = arrays.get("head.fc.weight")
    if head is None or head.ndim != 2:
        keys = ", ".join(list(arrays)[:4]) or "no keys"
        raise WeightsError(
            f"these are not the weights of {name}: no key 'head.fc.weight' or 'fc.weight' holds a "
            f"matrix (found {keys}); give the checkpoint's state_dict and the network's name"
        )
    described = architecture(name)
    classes, features = head.shape
    # Before a network is built: with its own features, all its classes have room in the checkpoint.
    if features != described.features or classes == 0:
        raise WeightsError(
            f"the checkpoint is not one of {name}: its classifier has the shape {head.shape}, and "
            f"the network {described.features} features; check the network's name"
        )
    described = described.replace(
        classes=classes, dropout=described.dropout if dropout is None else dropout
    )
    model = Classifier(described, _labels(labels, described.classes), dtype=dtype)
    values = _matched(arrays, model, name)
    check_finite(values, f"the checkpoint given for {name}")
    variables = named_variables(model)
    for path, value in values.items():
        variables[path].assign(value)
    return model


def official_key(key: str) -> str:
    """Return an ISONet key for a key of either repository, without `module.`.

    Example:
        >>> official_key("module.s1.b1.f.a.weight")
        's1.b1.f.a.weight'
        >>> official_key("layer2.0.conv1.weight")
        's2.b1.f.a.weight'
    """
    key = key.removeprefix("module.")
    block = re.fullmatch(r"layer(\d+)\.(\d+)\.(.+)", key)
    if block and block[3] in FIXUP_BLOCK:
        return f"s{block[1]}.b{int(block[2]) + 1}.{FIXUP_BLOCK[block[3]]}"
    return FIXUP.get(key, key)


def _labels(labels: Sequence[str] | None, classes: int) -> Sequence[str] | None:
    if labels is None:
        return tuple(imagenet_classes().values()) if classes == len(imagenet_classes()) else None
    if len(labels) != classes:
        raise DataError(
            f"the checkpoint has {classes} classes, {len(labels)} labels were given; give one "
            "for each class, in the order of the outputs"
        )
    return labels


def _normalised(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for key, value in state_dict_of(state_dict).items():
        name = official_key(key)
        if name in arrays:
            raise WeightsError(
                f"two keys of the checkpoint mean '{name}', the second is '{key}'; give one"
            )
        arrays[name] = _as_array(key, value)
    return arrays


def _as_array(key: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a PyTorch tensor, on any device and of any float type
        value = value.detach().cpu().float().numpy()
    try:
        # What is too large for float32 becomes infinite and is refused with the other values.
        with np.errstate(over="ignore"):
            return np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"the checkpoint's '{key}' is a {type(value).__name__}, not an array; "
            "give the state_dict itself, or a mapping that holds it under 'net'"
        ) from error


def _matched(
    arrays: Mapping[str, np.ndarray], model: Classifier, name: str
) -> dict[str, np.ndarray]:
    """Return the value of each variable, or raise naming what is left over on both sides."""
    layers = {layer.name: layer for layer in (*model.backbone.layers, *model.head.layers)}
    wanted = {path: tuple(v.shape) for path, v in named_variables(model).items()}
    values: dict[str, np.ndarray] = {}
    unused, misshapen = [], []
    for key, array in arrays.items():
        module, _, last = key.rpartition(".")
        layer = layers.get(module.replace(".", "_"))
        rules = VARIABLES.get(type(layer).__name__, {})
        if last == IGNORED and rules is VARIABLES["BatchNormalization"]:
            continue
        if layer is None or last not in rules:
            unused.append(key)
            continue
        variable, convert = rules[last]
        path = f"{layer.name}/{variable}"
        value = _converted(array, convert)
        if path not in wanted:
            unused.append(key)
        elif value is None or value.shape != wanted[path]:
            misshapen.append(f"{key} {array.shape} for {path} {wanted[path]}")
        else:
            values[path] = value
    missing = [path for path in wanted if path not in values]
    if unused or misshapen or missing:
        raise WeightsError(
            f"the checkpoint is not one of {name}: {_count(unused, 'keys without a variable')}; "
            f"{_count(misshapen, 'keys of another shape')}; "
            f"{_count(missing, 'variables without a value')}; check the network's name"
        )
    return values


def _converted(array: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """Return the array in our layout, or None if it has not the rank or size for it."""
    try:
        return convert(array)
    except ValueError:
        return None


def _count(names: list[str], what: str) -> str:
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{len(names)} {what}" + (f" ({shown})" if names else "")
