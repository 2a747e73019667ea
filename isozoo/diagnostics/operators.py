"""The linear operators of a network: convolutions and dense layers, at the size that they see."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.diagnostics.singular import Convolution
from isozoo.diagnostics.taps import Graph, Step, graph, stream
from isozoo.errors import DiagnosticsError
from isozoo.regularizers.models import is_constrained


class Operator(NamedTuple):
    """A linear operator of a network, or a layer that cannot be read as one.

    Attributes:
        name: Path of the layer; of a separable convolution with the part.
        kind: Class of the layer.
        convolution: The operator, on periodic images of as many outputs as the layer has; None for
            a layer whose kernel is of an unknown kind.
        constrained: Whether it is a convolution that the paper constrains.
    """

    name: str
    kind: str
    convolution: Convolution | None
    constrained: bool


def operators(model: keras.Model, size: int | tuple[int, int] | None) -> Iterator[Operator]:
    """Yield the linear operators of a model, and its layers whose kernels cannot be read as one.

    Args:
        model: Any functional Keras model of images.
        size: Height and width of the images in pixels, where the model does not fix them.

    Raises:
        DiagnosticsError: The model is no graph of layers, or takes images of any size and none was
            given.
    """
    walked = graph(model)
    images = np.zeros((1, *image_shape(model, size)), "float32")
    names = [step.name for step in with_kernels(walked)]
    for step, inputs, output in stream(walked, images, names=names):
        layer = step.operation
        row = _row(layer)
        if row is None:
            yield Operator(step.name, step.kind, None, False)
            continue
        for part, conv in row(layer, tuple(inputs[0].shape), tuple(output.shape)):
            constrained = isinstance(layer, keras.layers.Conv2D) and is_constrained(layer)
            yield Operator(step.name + part, step.kind, conv, constrained)


def with_kernels(walked: Graph) -> list[Step]:
    """Return the steps of a network whose layers have kernels, of whatever kind."""
    return [step for step in walked.steps if _has_kernel(step.operation)]


def _has_kernel(layer: Any) -> bool:
    if isinstance(layer, _ELEMENTWISE):
        return False
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))


def _row(layer: Any) -> Row | None:
    return next((row for kind, row in _ROWS.items() if isinstance(layer, kind)), None)


def multiply_adds(model: keras.Model, size: int | tuple[int, int] | None = None) -> int:
    """Return how many multiplications and additions convolutions and dense layers do for an image.

    Args:
        model: Any functional Keras model of images.
        size: Height and width of the images in pixels, where the model does not fix them.

    Raises:
        DiagnosticsError: The model is no graph of layers, takes images of any size and none was
            given, or has a layer with a kernel of a kind that cannot be counted.
    """
    count = 0
    for name, kind, conv, _ in operators(model, size):
        if conv is None:
            raise DiagnosticsError(
                f"asked for the multiply-adds of {model.name}, found the layer {name} ({kind}), "
                "whose kernel is of a kind that is not counted; give a network of "
                f"{', '.join(kind.__name__ for kind in _ROWS)}"
            )
        count += conv.outputs * conv.kernel[..., 0].size
    return count


def image_shape(model: keras.Model, size: int | tuple[int, int] | None) -> tuple[int, ...]:
    """Return the shape of one input of a model: its own, the asked-for or its preprocessing's.

    Raises:
        DiagnosticsError: The model takes images of any size, and none was given.
    """
    shape = list(model.inputs[0].shape[1:])
    if size is None and (preprocessing := getattr(model, "preprocessing", None)) is not None:
        size = preprocessing.size
    sides = (size, size) if isinstance(size, int) else size
    free = [axis for axis, side in enumerate(shape) if side is None]
    if free and sides is None:
        raise DiagnosticsError(
            f"{model.name} takes images of any size, {tuple(shape)}, and its layers' singular "
            "values depend on it; give size, such as size=224"
        )
    for axis, side in zip(free, sides or (), strict=False):
        shape[axis] = side
    return tuple(shape)


def _kernel(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def _sides(layer: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the height and width of a tensor `(batch, ...)` that a layer makes or takes."""
    return shape[1:3] if layer.data_format == "channels_last" else shape[2:4]  # pyright: ignore


def _strided(layer: Any, kernel: np.ndarray, outputs: tuple[int, ...], groups: int) -> Convolution:
    size = tuple(n * s for n, s in zip(_sides(layer, outputs), layer.strides, strict=True))
    return Convolution(kernel, size, layer.strides, layer.dilation_rate, groups)


def _by_depth(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel `(height, width, channels, multiplier)` as one of as many groups."""
    return kernel.reshape(*kernel.shape[:2], 1, -1)


Parts = list[tuple[str, Convolution]]


def _conv(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Parts:
    return [("", _strided(layer, _kernel(layer.kernel), outputs, layer.groups))]


def _transposed(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Parts:
    # It is the adjoint of the convolution that takes its outputs to its inputs.
    return [("/adjoint", _strided(layer, _kernel(layer.kernel), inputs, 1))]


def _depthwise(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Parts:
    kernel = _kernel(layer.kernel)
    return [("", _strided(layer, _by_depth(kernel), outputs, kernel.shape[2]))]


def _separable(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Parts:
    kernel = _kernel(layer.depthwise_kernel)
    depthwise = _strided(layer, _by_depth(kernel), outputs, kernel.shape[2])
    pointwise = Convolution(_kernel(layer.pointwise_kernel), _sides(layer, outputs))
    return [("/depthwise", depthwise), ("/pointwise", pointwise)]


def _dense(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Parts:
    # The same at each position, of which vectors have one; the last axis is that of channels.
    positions = math.prod(outputs[1:-1])
    return [("", Convolution(_kernel(layer.kernel)[None, None], (positions, 1)))]


Row = Callable[[Any, tuple[int, ...], tuple[int, ...]], Parts]
#: How the operators in a layer are read, by its class: from the shapes of its input and output.
_ROWS: dict[type, Row] = {
    keras.layers.Conv2D: _conv,
    keras.layers.Conv2DTranspose: _transposed,
    keras.layers.DepthwiseConv2D: _depthwise,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Dense: _dense,
}
#: Layers whose weights of several axes are numbers for each place, and no kernels.
_ELEMENTWISE = (keras.layers.PReLU, keras.layers.LayerNormalization)
