"""Convolution, with a repair of Keras's own."""

from __future__ import annotations

import keras
from keras import ops

from isozoo.layers.activation import channel_shape


@keras.saving.register_keras_serializable(package="isozoo")
class Conv2D(keras.layers.Conv2D):
    r"""Keras's 2-D convolution, whose bias finds the channels in both layouts.

    $$y = x * K + b$$

    On TensorFlow, Keras 3.15 adds the bias of a channels-first convolution along the columns
    instead, without a word, wherever there are as many columns as filters.

    The random state of a kernel's regulariser, as that of `isozoo.regularizers.OrthogonalConv`, is
    the layer's own, in clones and loaded models too.

    Arguments, inputs and outputs are those of `keras.layers.Conv2D`.

    Example:
        >>> import numpy as np
        >>> layer = Conv2D(2, 1, data_format="channels_first")
        >>> layer.build((1, 3, 2, 2))
        >>> layer.set_weights([np.ones((1, 1, 3, 2)), np.array([0.0, 5.0])])
        >>> y = layer(np.zeros((1, 3, 2, 2)))
        >>> keras.ops.convert_to_numpy(y)[0].tolist()
        [[[0.0, 0.0], [0.0, 0.0]], [[5.0, 5.0], [5.0, 5.0]]]
    """

    #: Whether `isozoo.regularizers.model_penalty` counts this convolution; None to tell by its
    #: kernel's shape. The first convolution of a network, on raw images, is not held to be one.
    isometric: bool | None = None

    def build(self, input_shape):
        """Create the kernel and the bias, and make the state of the kernel's regulariser known."""
        self.penalty_state = getattr(self.kernel_regularizer, "seed_generator", None)
        super().build(input_shape)

    def call(self, inputs):
        """Return the convolution of `inputs`, plus the bias, after the activation."""
        y = self.convolution_op(inputs, self.kernel)
        if self.use_bias and self.data_format == "channels_last":
            # ops.add, which TensorFlow computes together with the convolution.
            y = ops.add(y, self.bias)
        elif self.use_bias:
            # The operator and not ops.add, which is what takes the bias for that of the columns.
            y = y + ops.reshape(self.bias, channel_shape(4, 1, self.filters))
        return y if self.activation is None else self.activation(y)
