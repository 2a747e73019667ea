"""The variables of a classifier as named values: counted, copied, checked and fingerprinted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import keras
import numpy as np

from isozoo.errors import WeightsError
from isozoo.models.architecture import Architecture
from isozoo.models.classifier import Classifier


def named_variables(model: Classifier) -> dict[str, keras.Variable]:
    """Return the model's variables by `layer/variable`, encoder first, in building order.

    Example:
        >>> from isozoo.models import architecture
        >>> list(named_variables(Classifier(architecture("isonet-8"))))[:2]
        ['stem_conv/kernel', 'stem_relu/shift']
    """
    return {
        f"{layer.name}/{variable.name}": variable
        for part in (model.backbone, model.head)
        for layer in part.layers
        for variable in layer.weights
    }


def named_values(model: Classifier) -> dict[str, np.ndarray]:
    """Return copies of the model's variables as arrays, by the same names in the same order."""
    # ops.convert_to_numpy asks for a copy in a way that TensorFlow's variables do not know yet.
    return {name: np.asarray(v).copy() for name, v in named_variables(model).items()}


def parameter_count(model: Classifier) -> int:
    """Return the number of learned values: all variables but the moving statistics.

    Example:
        >>> from isozoo.models import architecture
        >>> parameter_count(Classifier(architecture("r-isonet-20", classes=10)))
        271603
    """
    return sum(
        int(np.prod(variable.shape))
        for variable in named_variables(model).values()
        if not variable.name.startswith("moving_")
    )


def copy_variables(source: keras.Model, target: keras.Model) -> None:
    """Assign each weight of one model to the weight in the same place of another.

    Args:
        source: The model to read.
        target: A model of equal structure; its dtypes may differ.

    Raises:
        ValueError: The models have different numbers of weights, or weights of different shapes.
    """
    for old, new in zip(source.weights, target.weights, strict=True):
        new.assign(old)


def check_finite(values: Mapping[str, np.ndarray], where: str) -> None:
    """Refuse values that are NaN or infinite.

    Args:
        values: Arrays by name.
        where: What holds them, for the error.

    Raises:
        WeightsError: Naming the first array that is not finite.
    """
    for name, value in values.items():
        bad = int((~np.isfinite(value)).sum())
        if bad:
            raise WeightsError(
                f"{where}: variable {name} has {bad} of {value.size} values that are NaN or "
                "infinite; take an earlier checkpoint, or fetch the weights again"
            )


def fingerprint(architecture: Architecture, values: Mapping[str, np.ndarray]) -> str:
    """Return a SHA-256 that ties values to the network they belong to.

    Two networks can have variables of the same names and shapes (`resnet-gn-18` and
    `resnet-in-18`), so the architecture is part of what is hashed.

    Args:
        architecture: The network's description.
        values: Its variables, in building order.

    Returns:
        64 hexadecimal digits.
    """
    # Fields at their default are left out: a field added later must not change old fingerprints.
    described = {
        field.name: getattr(architecture, field.name)
        for field in dataclasses.fields(architecture)
        if getattr(architecture, field.name) != field.default
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, value in values.items():
        digest.update(f"\n{name} {value.dtype} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
