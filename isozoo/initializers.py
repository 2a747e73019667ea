"""Initialisers that make a convolution start as an isometry, and Fixup's rule."""

from __future__ import annotations

import keras
from keras import ops


def _kernel_parts(shape: tuple[int, ...], who: str) -> tuple[tuple[int, ...], int, int]:
    if len(shape) < 3:
        raise ValueError(
            f"{who} initialises convolution kernels (*spatial, in, out); got shape {tuple(shape)}"
        )
    return tuple(shape[:-2]), shape[-2], shape[-1]


def _place_at_centre(matrix, spatial: tuple[int, ...]):
    """Return a kernel that is zero but for `matrix` (in, out) at the centre tap."""
    before = [size // 2 for size in spatial]
    after = [size - size // 2 - 1 for size in spatial]
    kernel = ops.reshape(matrix, (*(1 for _ in spatial), *matrix.shape))
    return ops.pad(kernel, [*zip(before, after, strict=True), (0, 0), (0, 0)])


@keras.saving.register_keras_serializable(package="isozoo")
class Delta(keras.initializers.Initializer):
    r"""Delta (Dirac) kernels: each output channel starts as a copy of one input channel.

    $$K_{t,i,j} = g\,[t = \text{centre}]\,[i = j]$$

    With stride 1 and at least as many outputs as inputs the convolution keeps the norm of every
    input exactly, so a deep stack of them is an isometry at the start of training.

    Args:
        gain: Factor $g$ on the ones.
        pieces: Outputs for each channel that is copied, as `isozoo.layers.Maxout` takes them: the
            first starts as the copy, the others at zero.

    Raises:
        ValueError: The shape is not a convolution kernel's `(*spatial, in, out)`, or its outputs
            are no multiple of `pieces`.

    Reference:
        Qi et al., ICML 2020, section 3.1; Zagoruyko and Komodakis, "DiracNets", 2017.

    Example:
        >>> kernel = Delta()((3, 3, 2, 4))
        >>> float(kernel[1, 1, 0, 0]), float(keras.ops.sum(kernel))
        (1.0, 2.0)
    """

    def __init__(self, gain: float = 1.0, pieces: int = 1):
        self.gain = gain
        self.pieces = pieces

    def __call__(self, shape, dtype=None):
        """Return the kernel of the given shape."""
        spatial, inputs, outputs = _kernel_parts(tuple(shape), "Delta")
        if outputs % self.pieces:
            raise ValueError(f"Delta: {self.pieces} pieces do not divide {outputs} filters")
        dtype = dtype or keras.config.floatx()
        copies = self.gain * ops.eye(inputs, outputs // self.pieces, dtype=dtype)
        pieces = ops.pad(copies[..., None], [(0, 0), (0, 0), (0, self.pieces - 1)])
        return _place_at_centre(ops.reshape(pieces, (inputs, outputs)), spatial)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {"gain": self.gain, "pieces": self.pieces}


@keras.saving.register_keras_serializable(package="isozoo")
class Orthogonal(keras.initializers.Orthogonal):
    r"""Keras's orthogonal kernels, in every precision.

    The kernel as a matrix of all taps and channels by filters has orthonormal rows or columns. That
    is no isometry of images, unless the kernel has one tap.

    Args:
        gain: Factor on the matrix.
        seed: Integer or `keras.random.SeedGenerator`.

    Reference:
        Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural
        networks", ICLR 2014.

    Example:
        >>> kernel = Orthogonal(seed=0)((3, 3, 4, 8), dtype="bfloat16")
        >>> round(float(keras.ops.sum(keras.ops.cast(kernel, "float32") ** 2)), 1)
        8.0
    """

    def __call__(self, shape, dtype=None):
        """Return the kernel of the given shape."""
        dtype = dtype or keras.config.floatx()
        # Drawn in float32 for the half precisions, in which backends cannot orthogonalise.
        drawn = super().__call__(shape, dtype=keras.backend.result_type(dtype, "float32"))
        return ops.cast(drawn, dtype)


@keras.saving.register_keras_serializable(package="isozoo")
class DeltaOrthogonal(keras.initializers.Initializer):
    r"""Delta kernels with a random orthogonal matrix at the centre tap.

    $$K_{\text{centre}} = g\,Q, \qquad Q\ \text{uniform with orthonormal rows or columns}$$

    Args:
        gain: Factor on the matrix.
        seed: Integer or `keras.random.SeedGenerator`.

    Raises:
        ValueError: The shape is not a convolution kernel's `(*spatial, in, out)`.

    Reference:
        Xiao et al., "Dynamical Isometry and a Mean Field Theory of CNNs", ICML 2018.

    Example:
        >>> kernel = DeltaOrthogonal(seed=0)((3, 3, 4, 4))
        >>> round(float(keras.ops.sum(kernel**2)), 4)
        4.0
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None):
        self.gain = gain
        self._orthogonal = Orthogonal(gain=gain, seed=seed)

    def __call__(self, shape, dtype=None):
        """Return the kernel of the given shape."""
        spatial, inputs, outputs = _kernel_parts(tuple(shape), "DeltaOrthogonal")
        dtype = dtype or keras.config.floatx()
        matrix = self._orthogonal((inputs, outputs), dtype=dtype)
        return _place_at_centre(matrix, spatial)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {"gain": self.gain, "seed": self._orthogonal.get_config()["seed"]}


@keras.saving.register_keras_serializable(package="isozoo")
class FixupNormal(keras.initializers.Initializer):
    r"""Fixup's rule for the convolutions inside a residual branch.

    $$K \sim \mathcal N\Big(0,\ \frac{2}{k_h k_w C_{\text{out}}}\; L^{-1/(m-1)}\Big)$$

    that is, He's standard deviation times $L^{-1/(2m-2)}$, with $L$ the number of residual blocks
    of the network and $m$ the number of convolutions of a branch. The last one starts at zero
    (use `"zeros"`).

    Args:
        blocks: Number $L$ of residual blocks, at least 1.
        branch_layers: Number $m$ of convolutions per branch, at least 2.
        seed: Integer or `keras.random.SeedGenerator`.

    Raises:
        ValueError: `blocks` or `branch_layers` is too small.

    Reference:
        Zhang, Dauphin and Ma, "Fixup Initialization: Residual Learning Without Normalization",
        ICLR 2019.

    Example:
        >>> kernel = FixupNormal(blocks=16, branch_layers=2, seed=0)((3, 3, 64, 64))
        >>> round(float(keras.ops.std(kernel)) / (2 / (9 * 64)) ** 0.5, 2)
        0.25
    """

    def __init__(self, blocks: int, branch_layers: int, seed: int | None = None):
        if blocks < 1 or branch_layers < 2:
            raise ValueError(
                "FixupNormal needs blocks >= 1 and branch_layers >= 2, "
                f"got blocks={blocks} and branch_layers={branch_layers}"
            )
        self.blocks = blocks
        self.branch_layers = branch_layers
        variance = 2.0 * blocks ** (-1.0 / (branch_layers - 1))
        self._normal = keras.initializers.VarianceScaling(
            scale=variance, mode="fan_out", distribution="untruncated_normal", seed=seed
        )

    def __call__(self, shape, dtype=None):
        """Return the kernel of the given shape."""
        return self._normal(shape, dtype=dtype)

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            "blocks": self.blocks,
            "branch_layers": self.branch_layers,
            "seed": self._normal.get_config()["seed"],
        }
