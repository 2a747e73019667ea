"""The rule by which a network made for some number of image channels takes another number."""

from __future__ import annotations

import numpy as np


def shared_channels(old: int, new: int) -> np.ndarray:
    """Say which channels of a network's images stand for which after their number changes.

    Both are dealt out in turn, round and round, until all of both had theirs: from red, green and
    blue to one channel, all three become it; to four, the fourth is another red.

    Args:
        old: Channels before, at least 1.
        new: Channels after, at least 1.

    Returns:
        0 and 1 as float64, `(old, new)`; no row and no column is empty.

    Raises:
        ValueError: A number is below 1.

    Example:
        >>> shared_channels(3, 4).tolist()
        [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """
    if min(old, new) < 1:
        raise ValueError(f"channels must be at least 1, got {old} and {new}")
    turns = np.arange(max(old, new))
    shared = np.zeros((old, new))
    shared[turns % old, turns % new] = 1.0
    return shared


def adapted_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    r"""Return a first convolution's kernel for another number of image channels.

    $$K'_j = \sum_{c\,:\,A_{cj} = 1} \frac{K_c}{\sum_k A_{ck}}, \qquad \sum_j K'_j = \sum_c K_c$$

    with $A$ of `shared_channels`. For one channel that is the sum over red, green and blue; for
    more than three, each of these is repeated in turn and divided by how often it is. The sum over
    the channels stays what it was, so that an input whose channels are all equal is answered as
    before.

    Args:
        kernel: `(height, width, channels, filters)`.
        channels: The new number, at least 1.

    Returns:
        `(height, width, new channels, filters)`, of the kernel's dtype.

    Example:
        >>> kernel = np.array([1.0, 2.0, 6.0]).reshape(1, 1, 3, 1)
        >>> adapted_kernel(kernel, 1).ravel().tolist(), adapted_kernel(kernel, 4).ravel().tolist()
        ([9.0], [0.5, 2.0, 6.0, 0.5])
    """
    shared = shared_channels(kernel.shape[2], channels)
    weights = shared / shared.sum(axis=1, keepdims=True)
    return np.einsum("hwcf,cj->hwjf", kernel.astype("float64"), weights).astype(kernel.dtype)
