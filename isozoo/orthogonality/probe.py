"""The penalty estimated from what the convolution and its adjoint make of random images."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from isozoo.orthogonality.fourier import transformed
from isozoo.orthogonality.phases import frequency_grid, phase_sizes


def draw_images(kernel: Any, strides: tuple[int, int], probes: int, seed: Any) -> Any:
    """Return random signs `(positions, n, probes)`: images on the smallest periodic grid.

    Args:
        kernel: Kernel `(height, width, n, r)`.
        strides: Strides of the grid of lags.
        probes: Number of images.
        seed: Integer, `keras.random.SeedGenerator`, or None for Keras's global one.
    """
    positions = math.prod(frequency_grid(phase_sizes(tuple(kernel.shape[:2]), strides)))
    drawn = keras.random.uniform((positions, kernel.shape[2], probes), seed=seed)
    return ops.where(drawn < 0.5, ops.cast(-1.0, kernel.dtype), ops.cast(1.0, kernel.dtype))


def probe(kernel: Any, strides: tuple[int, int], images: Any) -> Any:
    r"""Return half the mean, over positions and images v, of || A A^T v - v ||^2.

    A is the convolution on a periodic grid that tells all lags apart, taken from the side with r
    channels to that with n; A A^T has the Gram matrices as its kernel, so that for any v with
    E[v v^T] = I the mean is the penalty (Hutchinson), and its gradient the penalty's gradient.

    Both products are done at each frequency, 16 n r multiply-adds for each image and frequency
    with the gradient, of 13 frequencies for a 3x3 kernel. What an estimate of one image is worth is
    in `docs/orthogonality.md`.
    """
    n, r = kernel.shape[2:]
    phases, transform = transformed(kernel, strides)
    flat = [ops.reshape(phase, (-1, n * r)) for phase in phases]
    mean, real, imaginary = transform.forward(flat)
    mean_v, real_v, imaginary_v = transform.of_images(images)
    errors = ops.matmul(mean, ops.matmul(ops.transpose(mean), mean_v)) - mean_v
    squares = ops.sum(ops.square(errors))
    if images.shape[0] > 1:
        # The parts of a complex vector stand side by side.
        turned = ops.concatenate([imaginary_v, -real_v], axis=2)
        vectors = ops.concatenate([real_v, imaginary_v], axis=2)
        back = ops.matmul(ops.transpose(real, (0, 2, 1)), vectors)
        back = back + ops.matmul(ops.transpose(imaginary, (0, 2, 1)), turned)
        real_u, imaginary_u = ops.split(back, 2, axis=2)
        forth = ops.matmul(real, back)
        forth = forth + ops.matmul(imaginary, ops.concatenate([-imaginary_u, real_u], axis=2))
        squares = squares + 2.0 * ops.sum(ops.square(forth - vectors))
    positions, _, probes = images.shape
    return 0.5 * transform.weight * squares / (positions * probes)
