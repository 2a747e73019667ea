"""The linear operators of a network: convolutions and dense layers, at the size that they see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.diagnostics.singular import Convolution
from isozoo.diagnostics.taps import stream
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
    images = np.zeros((1, *image_shape(model, size)), "float32")
    for step, inputs, output in stream(model, images):
        layer = step.operation
        row = next((row for kind, row in _ROWS.items() if isinstance(layer, kind)), None)
        kind = type(layer).__name__
        if row is None:
            kernels = [w for w in getattr(layer, "weights", ()) if len(w.shape) > 1]
            if kernels:
                yield Operator(step.name, kind, None, False)
            continue
        for part, conv in row(layer, tuple(inputs[0].shape), tuple(output.shape)):
            constrained = isinstance(layer, keras.layers.Conv2D) and is_constrained(layer)
            yield Operator(step.name + part, kind, conv, constrained)


def multiply_adds(model: keras.Model, size: int | tuple[int, int] | None = None) -> int:
    """Return how many multiplications and additions convolutions and dense layers do for an image.

    Args:
        model: Any functional Keras model of images.
        size: Height and width of the images in pixels, where the model does not fix them.
    """
    found = (operator.convolution for operator in operators(model, size))
    return sum(conv.outputs * conv.kernel[..., 0].size for conv in found if conv is not None)


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
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


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
    return [("", Convolution(_kernel(layer.kernel)[None, None], (1, 1)))]


#: How the operators in a layer are read, by its class: from the shapes of its input and output.
_ROWS: dict[type, Callable[[Any, tuple[int, ...], tuple[int, ...]], Parts]] = {
    keras.layers.Conv2D: _conv,
    keras.layers.Conv2DTranspose: _transposed,
    keras.layers.DepthwiseConv2D: _depthwise,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Dense: _dense,
}
