"""The parts every network is composed of: convolution, normalisation-activation, residual merge.

Layer names are the module paths of the original PyTorch networks with underscores for dots, so
that a checkpoint's keys map onto layers by name.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from isozoo.initializers import Delta, DeltaOrthogonal, FixupNormal, Orthogonal
from isozoo.layers import (
    BatchInstanceNormalization,
    Conv2D,
    GroupNormalization,
    Maxout,
    PReLU,
    ResidualScale,
    ScalarBias,
    SReLU,
    SymmetricMaxPooling2D,
    gelu,
)
from isozoo.models.architecture import Architecture
from isozoo.models.parts import PIECES
from isozoo.regularizers import OrthogonalConv

EPSILON = 1e-5


def torch_uniform() -> keras.initializers.Initializer:
    """Return PyTorch's default for weights, uniform within `1 / sqrt(fan_in)` of 0."""
    return keras.initializers.VarianceScaling(1.0 / 3.0, mode="fan_in", distribution="uniform")


def he_normal() -> keras.initializers.Initializer:
    """Return He's normal over the fan-out, not truncated, as the original networks use it."""
    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )


def on_centre_tap(make: Callable[[int], keras.initializers.Initializer]) -> dict[str, Callable]:
    """Return the initialisers by role of kernels that only their centre tap starts in.

    Args:
        make: Makes one, for an activation that takes so many pieces of each channel.
    """
    return {
        # Of each 7x7 window with stride 2 it would see one pixel, and Delta feed 3 of 64 filters.
        "stem": lambda a: torch_uniform() if a.stem == "imagenet" else make(a.pieces),
        "branch": lambda a: make(a.pieces),
        "branch_end": lambda a: make(a.pieces),
        "shortcut": lambda a: make(1),
    }


ROLES = ("stem", "branch", "branch_end", "shortcut")
#: Initialiser of a convolution by the architecture's rule and the convolution's role.
INITIALIZERS: dict[str, dict[str, Callable[[Architecture], keras.initializers.Initializer]]] = {
    "xavier": dict.fromkeys(ROLES, lambda a: keras.initializers.GlorotUniform()),
    "xavier-normal": dict.fromkeys(ROLES, lambda a: keras.initializers.GlorotNormal()),
    "he": dict.fromkeys(ROLES, lambda a: he_normal()),
    "orthogonal": dict.fromkeys(ROLES, lambda a: Orthogonal()),
    "delta-orthogonal": on_centre_tap(lambda pieces: DeltaOrthogonal()),
    "delta": on_centre_tap(lambda pieces: Delta(pieces=pieces)),
    "fixup": {
        "stem": lambda a: torch_uniform(),
        "branch": lambda a: FixupNormal(a.branches, a.branch_layers),
        "branch_end": lambda a: keras.initializers.Zeros(),
        "shortcut": lambda a: he_normal(),
    },
}

#: Normalisation layers; each gets the channel axis and the initialiser of its scale.
NORMALIZATIONS: dict[str, Callable[..., layers.Layer] | None] = {
    "none": None,
    "batch": lambda **options: layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, **options),
    "group": lambda **options: GroupNormalization(groups=32, **options),
    "layer": lambda **options: GroupNormalization(groups=1, **options),
    "instance": lambda **options: GroupNormalization(groups=-1, **options),
    "batch-instance": lambda **options: BatchInstanceNormalization(**options),
}


@dataclasses.dataclass(frozen=True)
class Activation:
    """How an activation is made, and where it may stand.

    Args:
        make: Makes the layer, given the channel axis.
        before_padding: Makes it in front of a convolution that pads its input, if otherwise.
        after_pool: Whether the stem may pool first: the maximum of values that never fall is the
            value of the maximum, gradients too, and that is a quarter of the pixels.
    """

    make: Callable[..., layers.Layer]
    before_padding: Callable[..., layers.Layer] | None = None
    after_pool: bool = True

    def layer(self, following: int, **options: Any) -> layers.Layer:
        """Return the layer in front of a convolution of that kernel size."""
        make = (self.before_padding if following > 1 else None) or self.make
        return make(**options)


def without_axis(make: Callable[..., layers.Layer], *arguments: Any) -> Callable[..., layers.Layer]:
    """Return what makes a layer that needs no channel axis."""
    return lambda axis, **options: make(*arguments, **options)


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(without_axis(layers.ReLU)),
    # The authors' slope, and PyTorch's; Keras's is 0.3.
    "leaky-relu": Activation(without_axis(layers.LeakyReLU, 0.01)),
    # Its slope may become negative.
    "prelu": Activation(PReLU, after_pool=False),
    "elu": Activation(without_axis(layers.Activation, "elu")),
    "selu": Activation(without_axis(layers.Activation, "selu")),
    "silu": Activation(without_axis(layers.Activation, "silu"), after_pool=False),
    "gelu": Activation(without_axis(layers.Activation, gelu), after_pool=False),
    # It may stand there, but leaves half of the channels to be pooled.
    "maxout": Activation(functools.partial(Maxout, PIECES["maxout"]), after_pool=False),
    "srelu": Activation(SReLU),
    "srelu-before-padding": Activation(without_axis(layers.ReLU), before_padding=SReLU),
}

#: Kernel sizes of a residual branch, and which of its convolutions carries the stride.
BRANCHES: dict[str, tuple[tuple[int, ...], int]] = {
    "basic": ((3, 3), 0),
    "bottleneck": ((1, 3, 1), 1),
    "plain": ((3,), 0),
}


@dataclasses.dataclass(frozen=True)
class Composer:
    """Applies the parts of one architecture to tensors.

    Args:
        architecture: The network's description.
        data_format: `"channels_last"` or `"channels_first"`.
        dtype: Dtype policy of every layer, or None for Keras's default.
    """

    architecture: Architecture
    data_format: str
    dtype: str | keras.DTypePolicy | None = None

    @property
    def axis(self) -> int:
        """The channel axis of an image tensor."""
        return -1 if self.data_format == "channels_last" else 1

    @property
    def first_kernel(self) -> int:
        """Kernel size of the first convolution of a branch, which follows stem and blocks."""
        return BRANCHES[self.architecture.block][0][0]

    def convolution(self, x, filters: int, kernel: int, stride: int, role: str, name: str):
        """Convolve with symmetric zero padding, as PyTorch does also for strided kernels."""
        arch = self.architecture
        # Without a stride, Keras's "same" is symmetric already, and copies nothing.
        padding = "same" if stride == 1 else "valid"
        if kernel > 1 and stride > 1:
            x = layers.ZeroPadding2D(
                kernel // 2, data_format=self.data_format, dtype=self.dtype, name=f"{name}_pad"
            )(x)
        if role != "shortcut":
            filters *= arch.pieces
        isometric = role != "stem"
        penalty = OrthogonalConv(arch.orthogonality, strides=stride)
        layer = Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=arch.conv_bias,
            data_format=self.data_format,
            kernel_initializer=INITIALIZERS[arch.initializer][role](arch),
            kernel_regularizer=penalty if arch.orthogonality and isometric else None,
            dtype=self.dtype,
            name=name,
        )
        layer.isometric = isometric
        return layer(x)

    def normalization(self, x, name: str, last: bool = False):
        """Normalise, if the architecture does; `last` marks the end of a branch."""
        make = NORMALIZATIONS[self.architecture.normalization]
        if make is None:
            return x
        gamma = "zeros" if last and self.architecture.zero_last_gamma else "ones"
        return make(axis=self.axis, gamma_initializer=gamma, dtype=self.dtype, name=name)(x)

    def scalar_bias(self, x, name: str):
        """Add Fixup's scalar bias, if the architecture has them."""
        return ScalarBias(dtype=self.dtype, name=name)(x) if self.architecture.scalar_biases else x

    def activation(self, x, name: str, following: int):
        """Apply the architecture's activation in front of a convolution of that kernel size."""
        activation = ACTIVATIONS[self.architecture.activation]
        return activation.layer(following, axis=self.axis, dtype=self.dtype, name=name)(x)

    def stem(self, x):
        """Apply the first convolution, the activation and, for ImageNet, the max-pool."""
        imagenet = self.architecture.stem == "imagenet"
        kernel, stride = (7, 2) if imagenet else (3, 1)
        x = self.convolution(x, self.architecture.width, kernel, stride, "stem", "stem_conv")
        x = self.normalization(x, "stem_bn")
        x = self.scalar_bias(x, "stem_bias")
        # The originals pool what is activated.
        if ACTIVATIONS[self.architecture.activation].after_pool:
            return self.activation(self.stem_pool(x), "stem_relu", self.first_kernel)
        return self.stem_pool(self.activation(x, "stem_relu", self.first_kernel))

    def stem_pool(self, x):
        """Apply the max-pool of the ImageNet stem."""
        if self.architecture.stem != "imagenet":
            return x
        return SymmetricMaxPooling2D(
            3, 2, 1, data_format=self.data_format, dtype=self.dtype, name="stem_pool"
        )(x)

    def branch(self, x, inner: int, outer: int, stride: int, name: str):
        """Apply a block's convolutions up to the residual scale."""
        kernels, strided = BRANCHES[self.architecture.block]
        last = len(kernels) - 1
        for i, kernel in enumerate(kernels):
            letter, end = "abc"[i], i == last
            if i:
                x = self.scalar_bias(x, f"{name}_bias{i + 1}a")
            x = self.convolution(
                x,
                outer if end else inner,
                kernel,
                stride if i == strided else 1,
                "branch_end" if end else "branch",
                f"{name}_{letter}",
            )
            x = self.normalization(x, f"{name}_{letter}_bn", last=end)
            if not end:
                x = self.scalar_bias(x, f"{name}_bias{i + 1}b")
                x = self.activation(x, f"{name}_{letter}_relu", kernels[i + 1])
        x = self.residual_scale(x, f"{name}_shared_scalar")
        return self.scalar_bias(x, f"{name}_bias{last + 1}b")

    def residual_scale(self, x, name: str):
        """Multiply a branch by its scalar, learned or constant, if the architecture has one."""
        scale = self.architecture.residual_scale
        if scale is None:
            return x
        if not self.architecture.residual_scale_trainable:
            return layers.Rescaling(scale, dtype=self.dtype, name=name)(x)
        return ResidualScale(keras.initializers.Constant(scale), dtype=self.dtype, name=name)(x)

    def every_piece(self, x):
        """Repeat each channel for the pieces that the activation takes of it."""
        pieces = self.architecture.pieces
        return x if pieces == 1 else ops.repeat(x, pieces, axis=self.axis)

    def shortcut(self, x, outer: int, stride: int, name: str):
        """Bring the input of a block to the shape of its branch."""
        if x.shape[self.axis] == outer and stride == 1:
            return x
        return SHORTCUTS[self.architecture.shortcut](self, x, outer, stride, name)

    def projection(self, x, outer: int, stride: int, name: str):
        """Change the shape by a 1x1 convolution."""
        x = self.convolution(x, outer, 1, stride, "shortcut", f"{name}_proj")
        return self.normalization(x, f"{name}_bn")

    def zero_pad(self, x, outer: int, stride: int, name: str):
        """Change the shape by taking every stride-th pixel and appending zero channels."""
        last = self.data_format == "channels_last"
        x = x[:, ::stride, ::stride, :] if last else x[:, :, ::stride, ::stride]
        widths = [(0, 0)] * 4
        widths[self.axis] = (0, outer - x.shape[self.axis])
        return ops.pad(x, widths)

    def stage(self, x, number: int):
        """Apply the blocks of a stage, counted from 1, and the max-pool if it ends in one."""
        arch, name = self.architecture, f"s{number}"
        for i in range(arch.blocks[number - 1]):
            stride = 2 if number > 1 and i == 0 and not arch.pooled else 1
            x = self.block(x, arch.stage_widths[number - 1], stride, f"{name}_b{i + 1}")
        if not arch.pooled:
            return x
        return layers.MaxPooling2D(
            2, data_format=self.data_format, dtype=self.dtype, name=f"{name}_pool"
        )(x)

    def block(self, x, inner: int, stride: int, name: str):
        """Apply one residual block: branch, shortcut, merge, activation."""
        outer = inner * self.architecture.expansion
        plain = x
        x = self.scalar_bias(x, f"{name}_bias1a")
        branch = self.branch(x, inner, outer, stride, f"{name}_f")
        if self.architecture.shortcut != "none":
            # Fixup's identity shortcut skips the bias; a shortcut that changes the shape does not.
            changes = plain.shape[self.axis] != outer or stride != 1
            skip = self.shortcut(x if changes else plain, outer, stride, name)
            # For Maxout the same as to add it to the larger piece.
            skip = self.every_piece(skip)
            branch = layers.Add(dtype=self.dtype, name=f"{name}_add")([skip, branch])
        return self.activation(branch, f"{name}_relu", self.first_kernel)


SHORTCUTS: dict[str, Callable] = {
    "projection": Composer.projection,
    "zero-pad": Composer.zero_pad,
}
