"""Weights drawn by a rule from the keys of a state dict; see tests/golden/README.md."""

import json
import zlib
from pathlib import Path

import numpy as np


def generator(seed: str | int) -> np.random.Generator:
    return np.random.Generator(
        np.random.PCG64(zlib.crc32(seed.encode()) if isinstance(seed, str) else seed)
    )


def _isonet(key: str, shape: list[int], z: np.ndarray, gain: float) -> np.ndarray:
    last = key.rpartition(".")[2]
    if last == "weight" and len(shape) == 4:
        return np.float32(np.sqrt(gain / np.prod(shape[1:]))) * z
    if last == "weight" and len(shape) == 2:
        return np.float32(np.sqrt(1 / shape[1])) * z
    base, factor, value = {
        "srelu_bias": (-1, 0.1, z),
        "scale": (0.5, 0.1, z),
        "weight": (1, 0.1, z),
        "bias": (0, 0.1, z),
        "running_mean": (0, 0.1, z),
        "running_var": (1, 0.1, np.abs(z)),
    }[last]
    return np.float32(base) + np.float32(factor) * value


def _fixup(key: str, shape: list[int], z: np.ndarray, gain: float) -> np.ndarray:
    last = key.rpartition(".")[2]
    if last.endswith("scale"):
        return np.float32(0.5) + np.float32(0.1) * z
    if last.startswith("bias"):
        return np.float32(0.1) * z
    return np.float32(np.sqrt(1 / np.prod(shape[1:]))) * z


def keyed_state_dict(shapes: dict[str, list[int]], gain: float = 1.0) -> dict[str, np.ndarray]:
    """Draw every tensor of a state dict; `gain` multiplies the variance of convolutions."""
    rule = _fixup if "bias1" in shapes else _isonet
    tensors = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            tensors[key] = np.zeros(shape, np.int64)
            continue
        z = generator(key).standard_normal(shape).astype(np.float32)
        tensors[key] = np.asarray(rule(key, shape, z, gain), np.float32)
    return tensors


def crc32(tensors: dict[str, np.ndarray]) -> int:
    """Return the running CRC-32 of the tensors' bytes in sorted key order."""
    total = 0
    for key in sorted(tensors):
        total = zlib.crc32(np.ascontiguousarray(tensors[key]).tobytes(), total)
    return total


class Fixture:
    """The numbers of one original network, and the weights and input they came from."""

    def __init__(self, folder: Path, name: str):
        self.facts = json.loads((folder / f"{name}.json").read_text())
        with np.load(folder / f"{name}.npz") as stored:
            self.arrays = dict(stored)
        self.state_dict = keyed_state_dict(
            self.facts["state_dict"], self.facts.get("conv_gain_sq", 1.0)
        )

    @property
    def images(self) -> np.ndarray:
        """The input batch, channels last."""
        shape = self.facts["input_shape"]
        images = generator(0).standard_normal(shape).astype(np.float32)
        return images.transpose(0, 2, 3, 1)
