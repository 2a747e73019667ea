"""The penalty as the paper computes it."""

from __future__ import annotations

from typing import Any

from keras import ops


def convolution(kernel: Any, strides: tuple[int, int]) -> Any:
    """The paper's form: the kernel convolved with itself as a padded image."""
    kh, kw, n, _ = kernel.shape
    # Padding by the largest lag that lies on the stride grid puts lag 0 on the output grid.
    reach = [(size - 1) // stride * stride for size, stride in zip((kh, kw), strides, strict=True)]
    image = ops.transpose(kernel, (2, 0, 1, 3))
    image = ops.pad(image, [(0, 0), (reach[0], reach[0]), (reach[1], reach[1]), (0, 0)])
    grams = ops.conv(
        image,
        ops.transpose(kernel, (0, 1, 3, 2)),
        strides=strides,
        padding="valid",
        data_format="channels_last",
    )
    centre = [length // stride for length, stride in zip(reach, strides, strict=True)]
    identity = ops.reshape(ops.eye(n, dtype=kernel.dtype), (n, 1, 1, n))
    after = [grams.shape[axis + 1] - 1 - centre[axis] for axis in (0, 1)]
    identity = ops.pad(identity, [(0, 0), (centre[0], after[0]), (centre[1], after[1]), (0, 0)])
    return 0.5 * ops.sum(ops.square(grams - identity))
