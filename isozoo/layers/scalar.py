"""Single learned numbers: the residual scale, and the scalar biases of Fixup."""

from __future__ import annotations

from typing import ClassVar

import keras
from keras import ops


def scale_gradient(x, factor: float):
    r"""Return `x` unchanged, with its gradient multiplied by `factor`.

    $$f(x) = \operatorname{sg}(x) + \alpha\,(x - \operatorname{sg}(x))$$

    where sg stops the gradient. For plain or momentum SGD, a parameter that is read through this
    function moves as if its learning rate were `factor` times the optimiser's.

    Args:
        x: Tensor or variable.
        factor: The gradient's multiplier.

    Returns:
        A tensor equal to `x`.

    Example:
        >>> float(scale_gradient(keras.ops.convert_to_tensor(2.0), 0.1))
        2.0
    """
    # In this form the forward value is exactly x, since x - sg(x) is exactly 0.
    frozen = ops.stop_gradient(x)
    return frozen + factor * (x - frozen)


class _Scalar(keras.layers.Layer):
    """A layer with one trainable number, read through `scale_gradient`.

    Args:
        initializer: Initialiser of the number.
        learning_rate_multiplier: Factor on the learning rate of the number.
    """

    #: What the number is called.
    variable: ClassVar[str]

    def __init__(
        self,
        initializer: str | keras.initializers.Initializer = "zeros",
        learning_rate_multiplier: float = 0.1,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.initializer = keras.initializers.get(initializer)
        self.learning_rate_multiplier = learning_rate_multiplier

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the number."""
        value = self.add_weight(name=self.variable, shape=(), initializer=self.initializer)
        # The learning rate multiplies the decay too, and the decay does not pass scale_gradient.
        value.weight_decay_multiplier = self.learning_rate_multiplier
        value.gradient_multiplier = self.learning_rate_multiplier
        self._value = value

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }


@keras.saving.register_keras_serializable(package="isozoo")
class ResidualScale(_Scalar):
    r"""Multiply a residual branch by one learned number.

    $$y = s\,x$$

    With $s = 0$ at the start every residual block begins as its shortcut. The learning rate of
    $s$ is `learning_rate_multiplier` times the optimiser's, obtained by scaling the gradient
    inside the layer: exact for SGD, with or without momentum, and without effect for optimisers
    that divide by the gradient's own scale, such as Adam.

    Args:
        initializer: Initialiser of the scale: zeros for R-ISONet, ones for Fixup.
        learning_rate_multiplier: Factor on the learning rate of the scale.

    Call arguments:
        x: Tensor of any shape.

    Returns:
        A tensor of the shape of `x`.

    Reference:
        Qi et al., ICML 2020, section 3.4; Zhang et al., "Fixup Initialization", ICLR 2019.

    Example:
        >>> import numpy as np
        >>> float(keras.ops.max(ResidualScale()(np.ones((1, 2, 2, 3)))))
        0.0
    """

    variable = "scale"

    @property
    def scale(self):
        """The variable, of shape `()`."""
        return self._value

    def call(self, x):
        """Return `x` times the scale."""
        return x * scale_gradient(ops.convert_to_tensor(self.scale), self.learning_rate_multiplier)


@keras.saving.register_keras_serializable(package="isozoo")
class ScalarBias(_Scalar):
    r"""Add one learned number to every element, as Fixup does before convolutions and ReLUs.

    $$y = x + b$$

    Args:
        initializer: Initialiser of the bias.
        learning_rate_multiplier: Factor on the learning rate of the bias; see `ResidualScale`.

    Call arguments:
        x: Tensor of any shape.

    Returns:
        A tensor of the shape of `x`.

    Reference:
        Zhang et al., "Fixup Initialization: Residual Learning Without Normalization", ICLR 2019.

    Example:
        >>> import numpy as np
        >>> float(keras.ops.max(ScalarBias("ones")(np.zeros((1, 2)))))
        1.0
    """

    variable = "bias"

    @property
    def bias(self):
        """The variable, of shape `()`."""
        return self._value

    def call(self, x):
        """Return `x` plus the bias."""
        return x + scale_gradient(ops.convert_to_tensor(self.bias), self.learning_rate_multiplier)
