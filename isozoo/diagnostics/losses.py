"""The loss that measures take where none is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from isozoo.diagnostics.floors import activation_of
from isozoo.diagnostics.taps import Graph, Step, graph
from isozoo.errors import DiagnosticsError
from isozoo.training.losses import as_probabilities, plain_cross_entropy

#: Of labels and what a network returns; what it gives is averaged, or summed where each image's
#: gradient is asked for.
Loss = Callable[[Any, Any], Any]

#: Layers and operations that hand on what they are given, by the names of their classes.
_PASSING = ("Cast", "Dropout", "Identity")
#: Names of activations that make probabilities of classes that exclude each other. Logarithms of
#: probabilities are logits.
_SOFTMAX = ("softmax", "Softmax")
#: Names of those that make neither these nor logits.
_OTHERS = ("sigmoid", "Sigmoid", "hard_sigmoid", "HardSigmoid", "sparsemax", "Sparsemax")
#: The least probability that a logarithm is taken of, where it is not float32's least number.
_LEAST = {"float16": 2.0**-24, "float64": 2.0**-1022}


def default_loss(model: keras.Model | Graph) -> Loss:
    """Return the cross-entropy of what a model returns: of logits, or of a softmax's probabilities.

    Args:
        model: A functional or sequential model of one output `(batch, classes)`, or its graph.

    Returns:
        Of labels and what the model returns; gives one number for each image, in the precision of
        the model's output.

    Raises:
        DiagnosticsError: The model has no graph, or returns neither logits nor probabilities of
            classes that exclude each other.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
        >>> loss = default_loss(model)
        >>> ops.convert_to_numpy(loss(np.array([1]), model(np.zeros((1, 2))))).round(4)
        array([0.6931], dtype=float32)
    """
    walked = model if isinstance(model, Graph) else graph(model)
    shapes = {number: step.shape for step in walked.steps for number in step.outputs}
    made = [shapes.get(number, ()) for number in walked.results]
    kind = _ending(walked)
    if len(made) != 1 or len(made[0]) != 2 or made[0][-1] == 1 or kind in _OTHERS:
        found = ", ".join(map(str, made)) + (f" after {kind}" if kind in _OTHERS else "")
        raise DiagnosticsError(
            f"{walked.name} returns {found}, not logits or a softmax of classes; say what its loss "
            "is with loss=, a function of labels and what it returns"
        )
    return log_loss if kind in _SOFTMAX else plain_cross_entropy


def _ending(walked: Graph) -> str | None:
    """Return the name of the activation that a network ends with."""
    makers: dict[int, Step] = {n: step for step in walked.steps for n in step.outputs}
    step = makers.get(walked.results[0])
    while step is not None:
        found = activation_of(step)
        if found is not None:
            return found.kind
        linear = step.kind == "Activation"
        if not (linear or step.kind in _PASSING) or len(step.inputs) != 1:
            return None
        step = makers.get(step.inputs[0])
    return None


def log_loss(labels: Any, probabilities: Any) -> Any:
    """Return each image's cross-entropy of probabilities, in their precision.

    Keras's loses the gradient of probabilities below 1e-7, and on TensorFlow takes the logits that
    a softmax was given instead.

    Args:
        labels: Classes `(batch,)` or probabilities `(batch, classes)`.
        probabilities: What the network returns, `(batch, classes)`.

    Example:
        >>> import numpy as np
        >>> round(float(log_loss(np.array([1]), np.array([[0.5, 0.5]]))[0]), 4)
        0.6931
    """
    probabilities = ops.convert_to_tensor(probabilities)
    dtype = keras.backend.standardize_dtype(probabilities.dtype)
    least = _LEAST.get(dtype, 2.0**-126)
    targets = ops.cast(as_probabilities(labels, probabilities.shape[-1]), dtype)
    return -ops.sum(targets * ops.log(ops.maximum(probabilities, least)), axis=-1)
