"""Keras layers of isometric networks and of the baselines they are measured against."""

from isozoo.layers.activation import Maxout, PReLU, SReLU, gelu
from isozoo.layers.convolution import Conv2D
from isozoo.layers.normalization import BatchInstanceNormalization, GroupNormalization
from isozoo.layers.pooling import SymmetricMaxPooling2D
from isozoo.layers.scalar import ResidualScale, ScalarBias, scale_gradient

__all__ = [
    "BatchInstanceNormalization",
    "Conv2D",
    "GroupNormalization",
    "Maxout",
    "PReLU",
    "ResidualScale",
    "SReLU",
    "ScalarBias",
    "SymmetricMaxPooling2D",
    "gelu",
    "scale_gradient",
]
