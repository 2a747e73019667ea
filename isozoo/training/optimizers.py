"""Stochastic gradient descent as PyTorch defines it."""

from __future__ import annotations

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="isozoo")
class TorchSGD(keras.optimizers.Optimizer):
    r"""SGD with momentum and *coupled* weight decay, equal to `torch.optim.SGD`.

    $$v \leftarrow \mu v + g + \lambda m_w w, \qquad w \leftarrow w - \eta v$$

    Keras's own SGD differs in two ways that matter when a published recipe is repeated: its
    `weight_decay` is decoupled from the momentum, and its velocity includes the learning rate, so
    that a drop of the rate does not reach the steps already under way.

    Layers may weaken the decay of a variable through its attribute `weight_decay_multiplier`
    ($m_w$, 1 if absent): the shifts of `SReLU` take none.

    Args:
        learning_rate: Rate $\eta$, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: Share $\mu$ of the velocity that is kept, in [0, 1].
        weight_decay_factor: Coupled decay $\lambda$, at least 0.
        nesterov: Whether the step looks ahead, $w \leftarrow w - \eta (g' + \mu v)$.
        clipnorm: Largest norm of one variable's gradient, before the decay is added.
        global_clipnorm: Largest norm of all gradients together, before the decay is added.
        use_ema: Whether to keep an exponential moving average of the weights.
        ema_momentum: Share of the average that is kept at each step.

    Raises:
        ValueError: `momentum` is outside [0, 1], the decay is negative, or a largest norm is not
            positive.

    Reference:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, on the two
        kinds of decay.

    Example:
        >>> weight = keras.Variable([1.0])
        >>> optimizer = TorchSGD(0.5, momentum=0.0, weight_decay_factor=0.1)
        >>> optimizer.apply([keras.ops.convert_to_tensor([1.0])], [weight])
        >>> round(float(weight[0]), 3)
        0.45
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.1,
        momentum: float = 0.9,
        weight_decay_factor: float = 0.0,
        nesterov: bool = False,
        *,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        name: str = "torch_sgd",
    ):
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"TorchSGD: momentum must be in [0, 1], got {momentum}")
        if weight_decay_factor < 0.0:
            raise ValueError(
                f"TorchSGD: weight_decay_factor must be at least 0, got {weight_decay_factor}"
            )
        for limit, value in (("clipnorm", clipnorm), ("global_clipnorm", global_clipnorm)):
            # Keras takes 0 and less for no clipping at all.
            if value is not None and not 0.0 < value < math.inf:
                raise ValueError(f"TorchSGD: {limit} must be positive or None, got {value}")
        super().__init__(
            learning_rate=learning_rate,
            clipnorm=clipnorm,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            name=name,
        )
        self.momentum = momentum
        self.weight_decay_factor = weight_decay_factor
        self.nesterov = nesterov

    def build(self, variables) -> None:
        """Create one velocity per variable."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        # Read here, since the TensorFlow backend hands update_step bare variables of its own.
        self._decays = [
            self.weight_decay_factor * getattr(v, "weight_decay_multiplier", 1.0) for v in variables
        ]

    def exclude_from_weight_decay(self, var_list=None, var_names=None) -> None:
        """Refuse: a variable says itself how much decay it takes.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "TorchSGD takes the decay of a variable from its weight_decay_multiplier; set "
            "`variable.weight_decay_multiplier = 0.0` before the optimiser is built"
        )

    def update_step(self, gradient, variable, learning_rate) -> None:
        """Move one variable by one step."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        velocity = self.velocities[index]
        if self._decays[index]:
            gradient = gradient + self._decays[index] * variable
        step = velocity * self.momentum + gradient
        self.assign(velocity, step)
        if self.nesterov:
            step = gradient + self.momentum * step
        self.assign_sub(variable, rate * step)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        keys = ("learning_rate", "clipnorm", "global_clipnorm", "use_ema", "ema_momentum", "name")
        config = super().get_config()
        return {
            **{key: config[key] for key in keys},
            "momentum": self.momentum,
            "weight_decay_factor": self.weight_decay_factor,
            "nesterov": self.nesterov,
        }
