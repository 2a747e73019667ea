"""The loss of one batch as a function of a network's weights, which stay what they are."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from isozoo.diagnostics.gradients import own_randomness, value_and_vjp, without_gradients
from isozoo.diagnostics.losses import Loss, default_loss
from isozoo.diagnostics.taps import Graph, stream
from isozoo.errors import DiagnosticsError
from isozoo.training.checkpoint import values_of

Arrays = Sequence[np.ndarray]


class LossSurface:
    """The loss of a batch at any weights, and its gradient there.

    Nothing is ever assigned to the network: other weights are lent to it for one computation, and
    what it would assign itself, such as running statistics and the state of random generators, is
    forgotten. So the same weights give the same loss, also with dropout, and whatever ends a
    computation leaves the network as it was.

    Args:
        model: The network.
        images: A preprocessed batch `(batch, height, width, channels)`.
        labels: What the loss compares with: classes `(batch,)` or probabilities `(batch, classes)`.
        loss: Of labels and what the model returns; `default_loss` if None.
        training: Whether the model is called in training mode.
        penalties: Whether what layers add to the loss, such as the orthogonality penalty, counts.

    Raises:
        DiagnosticsError: No loss is given, and the model returns neither logits nor a softmax.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("isonet-8", classes=2))
        >>> surface = LossSurface(model, np.zeros((4, 32, 32, 3)), np.array([0, 1, 0, 1]))
        >>> [np.zeros_like(value) for value in surface.values()][0].shape
        (3, 3, 3, 16)
        >>> round(surface.loss([np.zeros_like(value) for value in surface.values()]), 4)
        0.6931
    """

    def __init__(
        self,
        model: keras.Model,
        images: Any,
        labels: Any,
        *,
        loss: Loss | None = None,
        training: bool = False,
        penalties: bool = False,
    ):
        self.model = model
        self.training = training
        self.penalties = penalties
        self._compare = default_loss(model) if loss is None else loss
        self._images = ops.convert_to_tensor(images)
        self._labels = ops.convert_to_tensor(labels)

    def values(self) -> list[np.ndarray]:
        """Return copies of the network's trainable weights."""
        return values_of(self.model.trainable_variables)

    def loss(self, values: Arrays) -> float:
        """Return the loss with these for the trainable weights, in their order."""
        with without_gradients(), own_randomness(), keras.StatelessScope():
            return float(self._of(*map(ops.convert_to_tensor, values)))

    def gradient(self, values: Arrays, *, scaled: bool = False) -> tuple[float, list[np.ndarray]]:
        """Return the loss with these for the trainable weights, and its gradient by each.

        Args:
            values: The weights, in their order.
            scaled: Whether as an optimiser is given it, multiplied where a layer gives a weight a
                learning rate of its own, such as that of a residual scale.

        Raises:
            DiagnosticsError: The backend cannot differentiate, or a layer multiplies the gradient
                by zero.
        """
        value, pullback = value_and_vjp(self._of, values)
        found = [np.array(ops.convert_to_numpy(p)) for p in pullback(ops.ones_like(value))]
        if not scaled:
            for i, factor in multipliers(self.model).items():
                if not factor:
                    path = self.model.trainable_variables[i].path
                    raise DiagnosticsError(
                        f"the gradient by {path} was asked for, and its layer multiplies it by 0; "
                        "give the layer another learning rate multiplier, or trainable=False"
                    )
                found[i] = (found[i] / factor).astype(found[i].dtype)
        return float(value), found

    def _of(self, *values: Any) -> Any:
        mapping = list(zip(self.model.trainable_variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=self.penalties):
            outputs = self.model(self._images, training=self.training)
            found = ops.mean(self._compare(self._labels, outputs))
            return sum(self.model.losses, start=found) if self.penalties else found


def multipliers(model: keras.Model) -> dict[int, float]:
    """Return by what layers multiply gradients, by places among the trainable variables.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> found = multipliers(Classifier(architecture("r-isonet-8", classes=2)))
        >>> len(found), {*found.values()}
        (3, {0.1})
    """
    found = enumerate(model.trainable_variables)
    return {i: v.gradient_multiplier for i, v in found if hasattr(v, "gradient_multiplier")}


def norm(arrays: Arrays) -> float:
    """Return the Euclidean norm of all numbers of some arrays, summed in float64.

    Example:
        >>> norm([np.array([3.0]), np.array([[0.0, 4.0]])])
        5.0
    """
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def apart(one: Arrays, other: Arrays) -> float:
    """Return the Euclidean distance of two lists of arrays."""
    return norm([np.subtract(a, b, dtype=np.float64) for a, b in zip(one, other, strict=True)])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine of the angle between two arrays; NaN if one of them is zero.

    Example:
        >>> cosine(np.array([1.0, 0.0]), np.array([2.0, 0.0])), cosine(np.ones(2), np.zeros(2))
        (1.0, nan)
    """
    lengths = norm([one]) * norm([other])
    product = float(np.vdot(one.astype(np.float64), other.astype(np.float64)))
    return product / lengths if lengths else math.nan


def weight_bytes(model: keras.Model) -> int:
    """Return the size of a model's trainable weights in bytes."""
    return sum(math.prod(v.shape) * _width(v.dtype) for v in model.trainable_variables)


def activation_bytes(
    model: keras.Model | Graph, images: Any, names: Sequence[str] | None = None
) -> int:
    """Return the size in bytes of all that a network computes of a batch, which a gradient keeps.

    Found by computing one image.

    Args:
        model: The network, or its graph.
        images: A preprocessed batch `(batch, height, width, channels)`.
        names: Steps whose tensors count; all if None.

    Raises:
        DiagnosticsError: The model has no graph.
    """
    found = stream(model, images[:1], names=names)
    made = (keras.tree.flatten(output) for _, _, output in found)
    return len(images) * sum(
        math.prod(t.shape) * _width(t.dtype) for all_of in made for t in all_of
    )


def _width(dtype: Any) -> int:
    """Return the bytes of one number: the digits in its type's name are its bits."""
    bits = re.search(r"\d+", keras.backend.standardize_dtype(dtype).removeprefix("b"))
    return int(bits[0]) // 8 if bits else 1
