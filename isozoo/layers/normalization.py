"""Normalisation layers of the baselines that Keras lacks or has with other rules."""

from __future__ import annotations

import keras
from keras import ops

from isozoo.layers.activation import channel_shape, channels_of
from isozoo.layers.scalar import scale_gradient


def largest_divisor(number: int, most: int) -> int:
    """Return the largest divisor of `number` that is at most `most`.

    Example:
        >>> largest_divisor(48, 32), largest_divisor(16, 32)
        (24, 16)
    """
    return next(n for n in range(min(number, most), 0, -1) if number % n == 0)


@keras.saving.register_keras_serializable(package="isozoo")
class GroupNormalization(keras.layers.GroupNormalization):
    r"""Keras's group normalisation with a number of groups that always divides the channels.

    $$y = \gamma\,\frac{x - \mu_g}{\sqrt{\sigma_g^2 + \epsilon}} + \beta$$

    over each image's group $g$ of channels. `groups=1` normalises all channels of an image
    together (layer normalisation of images); `groups=-1` each channel alone (instance
    normalisation). Where `groups` does not divide the channels, as 32 does not divide the 16 of
    CIFAR networks, the largest smaller divisor is used.

    Args:
        groups: Wanted number of groups, or -1 for one per channel.
        axis: The channel axis.
        epsilon: Added to the variance; 1e-5 as in PyTorch, where Keras's default is 1e-3.
        gamma_initializer: Initialiser of the scale.

    Call arguments:
        x: Tensor `(batch, height, width, channels)` or `(batch, channels, height, width)`.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        ValueError: `groups` is 0 or below -1, or the channel axis is undefined.

    Reference:
        Wu and He, "Group Normalization", ECCV 2018.

    Example:
        >>> layer = GroupNormalization(groups=32)
        >>> layer.build((None, 8, 8, 48))
        >>> layer.groups
        24
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-5,
        gamma_initializer: str | keras.initializers.Initializer = "ones",
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        if groups < -1 or groups == 0:
            raise ValueError(f"GroupNormalization: groups must be positive or -1, got {groups}")
        super().__init__(
            groups=groups,
            axis=axis,
            epsilon=epsilon,
            gamma_initializer=gamma_initializer,
            name=name,
            dtype=dtype,
            trainable=trainable,
        )
        self.requested_groups = groups

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Choose the number of groups, then create scale and offset."""
        channels = channels_of(input_shape, self.axis, "GroupNormalization")
        wanted = channels if self.requested_groups == -1 else self.requested_groups
        self.groups = largest_divisor(channels, wanted)
        super().build(input_shape)

    def get_config(self) -> dict:
        """Return the constructor arguments, with the number of groups that was asked for."""
        keys = ("name", "trainable", "dtype", "axis", "epsilon", "gamma_initializer")
        config = super().get_config()
        return {**{key: config[key] for key in keys}, "groups": self.requested_groups}


@keras.saving.register_keras_serializable(package="isozoo")
class UnitInterval(keras.constraints.Constraint):
    """Clamp a weight to [0, 1] after every optimiser step.

    Example:
        >>> import numpy as np
        >>> keras.ops.convert_to_numpy(UnitInterval()(np.array([-0.5, 0.25, 2.0]))).tolist()
        [0.0, 0.25, 1.0]
    """

    def __call__(self, w):
        """Return `w` clamped."""
        return ops.clip(w, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="isozoo")
class BatchInstanceNormalization(keras.layers.Layer):
    r"""Batch and instance normalisation, mixed per channel by a learned gate.

    $$y = \gamma\,(\rho\,\hat x_{\text{batch}} + (1 - \rho)\,\hat x_{\text{instance}}) + \beta$$

    The gate $\rho$ starts at 1 (batch normalisation), is clamped to [0, 1] after each optimiser
    step, learns `gate_learning_rate_multiplier` times faster and takes no weight decay. Running
    statistics serve the batch branch only; the instance branch uses each image's own statistics,
    also at inference. As in the original, the running variance is the unbiased one.

    Args:
        axis: The channel axis.
        momentum: Share of the running statistics that is kept at each step, in [0, 1].
        epsilon: Added to both variances.
        gamma_initializer: Initialiser of the scale.
        gate_learning_rate_multiplier: Factor on the gate's learning rate, exact for SGD.

    Call arguments:
        x: Tensor `(batch, height, width, channels)` or `(batch, channels, height, width)`.
        training: Whether batch statistics are used and the running ones are updated.

    Returns:
        A tensor of the shape and dtype of `x`; the mathematics is done in at least float32.

    Raises:
        ValueError: The channel axis is undefined, or `momentum` is outside [0, 1].

    Reference:
        Nam and Kim, "Batch-Instance Normalization for Adaptively Style-Invariant Neural
        Networks", NeurIPS 2018.

    Example:
        >>> layer = BatchInstanceNormalization()
        >>> layer.build((None, 8, 8, 4))
        >>> [weight.name for weight in layer.weights]
        ['gamma', 'beta', 'gate', 'moving_mean', 'moving_variance']
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        gamma_initializer: str | keras.initializers.Initializer = "ones",
        gate_learning_rate_multiplier: float = 10.0,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(
                f"BatchInstanceNormalization: momentum must be in [0, 1], got {momentum}"
            )
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.gate_learning_rate_multiplier = gate_learning_rate_multiplier
        #: Replicas of `tf.distribute` that a batch is spread over, whose statistics are shared.
        self.replicas = 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create scale, offset, gate and running statistics, one number per channel each."""
        shape = (channels_of(input_shape, self.axis, "BatchInstanceNormalization"),)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=self.gamma_initializer)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.gate = self.add_weight(
            name="gate", shape=shape, initializer="ones", constraint=UnitInterval()
        )
        self.gate.weight_decay_multiplier = 0.0
        self.gate.gradient_multiplier = self.gate_learning_rate_multiplier
        # Running statistics stay float32 under mixed precision: autocast would round them.
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=shape, initializer="zeros", trainable=False, autocast=False
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", shape=shape, initializer="ones", trainable=False, autocast=False
        )

    def _update(self, mean, variance, x) -> None:
        # torch keeps the unbiased variance: n / (n - 1) with n the values per channel.
        count = ops.cast(self.replicas * ops.size(x) // self.gamma.shape[0], mean.dtype)
        unbiased = variance * count / ops.maximum(count - 1.0, 1.0)
        keep = self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
        self.moving_variance.assign(self.moving_variance * keep + unbiased * (1.0 - keep))

    def call(self, x, training: bool = False):
        """Return the gated mixture of the two normalisations of `x`."""
        dtype = x.dtype
        x = ops.cast(x, keras.backend.result_type(dtype, "float32"))
        rank, axis = len(x.shape), self.axis % len(x.shape)
        shape = channel_shape(rank, axis, self.gamma.shape[0])
        spatial = [i for i in range(1, rank) if i != axis]
        instance_mean, instance_var = ops.moments(x, axes=spatial, keepdims=True)
        if training and self.trainable:
            mean, variance = ops.moments(x, axes=[0, *spatial], synchronized=self.replicas > 1)
            self._update(mean, variance, x)
        else:
            mean, variance = self.moving_mean, self.moving_variance

        def per_channel(vector):
            return ops.reshape(ops.cast(vector, x.dtype), shape)

        batch = (x - per_channel(mean)) * ops.rsqrt(per_channel(variance) + self.epsilon)
        instance = (x - instance_mean) * ops.rsqrt(instance_var + self.epsilon)
        gate = per_channel(
            scale_gradient(ops.convert_to_tensor(self.gate), self.gate_learning_rate_multiplier)
        )
        mixed = gate * batch + (1.0 - gate) * instance
        return ops.cast(mixed * per_channel(self.gamma) + per_channel(self.beta), dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "gate_learning_rate_multiplier": self.gate_learning_rate_multiplier,
        }
