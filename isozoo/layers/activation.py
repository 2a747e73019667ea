"""Activations: the shifted ReLU of isometric networks, PReLU and Maxout."""

from __future__ import annotations

from typing import ClassVar

import keras
from keras import ops


def channel_shape(rank: int, axis: int, size: int) -> tuple[int, ...]:
    """Return the shape that broadcasts a per-channel vector over an input of the given rank.

    Example:
        >>> channel_shape(4, -1, 64)
        (1, 1, 1, 64)
    """
    shape = [1] * rank
    shape[axis] = size
    return tuple(shape)


def channels_of(input_shape: tuple[int | None, ...], axis: int, layer: str) -> int:
    """Return the size of the channel axis, or say which axis of which shape is undefined."""
    if not -len(input_shape) <= axis < len(input_shape):
        raise ValueError(f"{layer}: axis {axis} does not exist in input shape {input_shape}")
    size = input_shape[axis]
    if size is None:
        raise ValueError(
            f"{layer}: the channel axis {axis} of input shape {input_shape} is undefined; "
            "give the input a fixed number of channels"
        )
    return size


def _trained_maximum(x, shift):
    """Return the maximum of `x` and a broadcast shift, whose gradient needs the result alone.

    TensorFlow's own gradient keeps `x` or a mask in memory, and passes over them more often; the
    result is kept anyway, for the gradient of the convolution that reads it. Other backends do not
    need this, and PyTorch would never free what the gradient closes over.
    """

    @ops.custom_gradient
    def maximum(x, shift):
        y = ops.maximum(shift, x)
        spread = [axis for axis, size in enumerate(shift.shape) if size == 1]

        def gradient(upstream):
            # Plus 0, known only now: TensorFlow computes as early as it can, and would keep the
            # mask from the forward pass on.
            late_shift = shift + ops.sum(ops.ravel(upstream)[:0])
            # False for NaN, whose gradient goes on to x.
            to_shift = upstream * ops.cast(y <= late_shift, upstream.dtype)
            return upstream - to_shift, ops.sum(to_shift, axis=spread, keepdims=True)

        return y, gradient

    return maximum(x, shift)


class _PerChannel(keras.layers.Layer):
    """A layer with one trained number per channel, which takes no weight decay.

    Args:
        axis: The channel axis.
        initializer: Initialiser of the numbers.
    """

    #: What the numbers are called.
    variable: ClassVar[str]

    def __init__(
        self,
        axis: int,
        initializer: str | keras.initializers.Initializer,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.axis = axis
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the numbers."""
        channels = channels_of(input_shape, self.axis, type(self).__name__)
        value = self.add_weight(name=self.variable, shape=(channels,), initializer=self.initializer)
        value.weight_decay_multiplier = 0.0
        self._value = value

    def per_channel(self, x):
        """Return the numbers in a shape that broadcasts over `x`."""
        return ops.reshape(
            self._value, channel_shape(len(x.shape), self.axis, self._value.shape[0])
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape: the layer is elementwise."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            f"{self.variable}_initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="isozoo")
class SReLU(_PerChannel):
    r"""Shifted ReLU: a ReLU whose hinge sits at a learned shift per channel.

    $$y = \max(x, b) = \operatorname{ReLU}(x - b) + b$$

    With $b = -1$ most of a standardised signal passes unchanged, which keeps the layer close to
    the identity and hence close to an isometry. The shift takes no weight decay: decay would pull
    it to 0 and so to the plain ReLU.

    Args:
        axis: The channel axis, `-1` for `(batch, height, width, channels)`.
        shift_initializer: Initialiser of the shift; the paper starts at -1.

    Call arguments:
        x: Tensor of any rank with a defined channel axis.

    Returns:
        A tensor of the shape of `x`, every value at least its channel's shift.

    Raises:
        ValueError: The channel axis is undefined or does not exist.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020, section 3.2.

    Example:
        >>> import numpy as np
        >>> layer = SReLU()
        >>> np.asarray(keras.ops.convert_to_numpy(layer(np.array([[-3.0, -0.5, 2.0]])))).tolist()
        [[-1.0, -0.5, 2.0]]
    """

    variable = "shift"

    def __init__(
        self,
        axis: int = -1,
        shift_initializer: str | keras.initializers.Initializer | None = None,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        initializer = shift_initializer or keras.initializers.Constant(-1.0)
        super().__init__(axis, initializer, name=name, dtype=dtype, trainable=trainable)

    @property
    def shift(self):
        """The variable, of shape `(channels,)`."""
        return self._value

    def call(self, x, training: bool = False):
        """Return the elementwise maximum of `x` and the shift of its channel."""
        shift = self.per_channel(x)
        # Where x equals the shift, as all over a network that starts as identity, the original's
        # gradient goes to the shift. Backends split a tied maximum differently; TensorFlow gives
        # it to the first argument. "x <= shift" is false for NaN, which must not be hidden.
        # Not relu(x - shift) + shift: it rounds twice, in bfloat16 by up to 2**-6.
        if keras.backend.backend() != "tensorflow":
            return ops.where(x <= shift, shift, x)
        return _trained_maximum(x, shift) if training else ops.maximum(shift, x)


@keras.saving.register_keras_serializable(package="isozoo")
class PReLU(_PerChannel):
    r"""Parametric ReLU: a ReLU with a learned slope per channel for what is negative.

    $$y = \max(x, 0) + a\,\min(x, 0)$$

    The slope takes no weight decay, which would pull it to 0 and so to the plain ReLU. It has one
    axis whatever the data format, where `keras.layers.PReLU` has those of the input.

    Args:
        axis: The channel axis, `-1` for `(batch, height, width, channels)`.
        slope_initializer: Initialiser of the slope; the paper starts at 0.25.

    Call arguments:
        x: Tensor of any rank with a defined channel axis.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        ValueError: The channel axis is undefined or does not exist.

    Reference:
        He et al., "Delving Deep into Rectifiers", ICCV 2015.

    Example:
        >>> import numpy as np
        >>> layer = PReLU()
        >>> np.asarray(keras.ops.convert_to_numpy(layer(np.array([[-4.0, 2.0]])))).tolist()
        [[-1.0, 2.0]]
    """

    variable = "slope"

    def __init__(
        self,
        axis: int = -1,
        slope_initializer: str | keras.initializers.Initializer | None = None,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        initializer = slope_initializer or keras.initializers.Constant(0.25)
        super().__init__(axis, initializer, name=name, dtype=dtype, trainable=trainable)

    @property
    def slope(self):
        """The variable, of shape `(channels,)`."""
        return self._value

    def call(self, x):
        """Return `x` where it is positive, and elsewhere the slope of its channel times `x`."""
        return ops.relu(x) - self.per_channel(x) * ops.relu(-x)


@keras.saving.register_keras_serializable(package="isozoo")
def gelu(x):
    r"""Return $x\,\Phi(x)$, the Gaussian error linear unit, by the error function.

    Keras's own is by the complement of that on TensorFlow, which ONNX does not know.

    Args:
        x: Tensor of any shape.

    Reference:
        Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.

    Example:
        >>> round(float(gelu(keras.ops.convert_to_tensor(1.0))), 4)
        0.8413
    """
    return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))


@keras.saving.register_keras_serializable(package="isozoo")
class Maxout(keras.layers.Layer):
    r"""Maxout: the maximum over groups of consecutive channels.

    $$y_j = \max_{0 \le p < P} x_{jP + p}$$

    Args:
        pieces: Number $P$ of linear pieces per output channel, at least 1; it must divide the
            number of input channels.
        axis: The channel axis.

    Call arguments:
        x: Tensor with `pieces * channels` on the channel axis, for example
            `(batch, height, width, pieces * channels)`.

    Returns:
        A tensor with `channels` on that axis.

    Raises:
        ValueError: `pieces` is not positive or does not divide the number of channels.

    Reference:
        Goodfellow et al., "Maxout Networks", ICML 2013.

    Example:
        >>> import numpy as np
        >>> y = Maxout(pieces=2)(np.array([[1.0, 5.0, -2.0, -3.0]]))
        >>> keras.ops.convert_to_numpy(y).tolist()
        [[5.0, -2.0]]
    """

    def __init__(
        self,
        pieces: int = 2,
        axis: int = -1,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        if pieces < 1:
            raise ValueError(f"Maxout: pieces must be at least 1, got {pieces}")
        self.pieces = pieces
        self.axis = axis

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with the channel axis divided by `pieces`."""
        channels = channels_of(input_shape, self.axis, "Maxout")
        if channels % self.pieces:
            raise ValueError(
                f"Maxout: {self.pieces} pieces do not divide {channels} channels; "
                f"give the layer before it a multiple of {self.pieces} channels"
            )
        shape = list(input_shape)
        shape[self.axis] = channels // self.pieces
        return tuple(shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the pieces divide the channels."""
        self.compute_output_shape(input_shape)

    def call(self, x):
        """Return the maximum over each group of `pieces` consecutive channels."""
        axis = self.axis % len(x.shape)
        shape = [-1 if size is None else size for size in x.shape]
        if shape.count(-1) > 1:
            shape = list(ops.shape(x))
        grouped = [*shape[:axis], x.shape[axis] // self.pieces, self.pieces, *shape[axis + 1 :]]
        return ops.max(ops.reshape(x, grouped), axis=axis + 1)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {**super().get_config(), "pieces": self.pieces, "axis": self.axis}
