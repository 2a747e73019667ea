"""Time the orthogonality penalty and its gradient, for all kernels of a network.

    python benchmarks/penalty.py r-isonet-18 r-isonet-18-w32 --out benchmarks/results/penalty.json

Compares, in one run and in turns, isozoo's default (`fastest`) and each method for all kernels with
the paper's form (`convolution`, which on the TensorFlow backend is `tf.nn.conv2d`), in float32,
compiled as a graph. Quote the ratio, not the milliseconds: machines differ and are shared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from machine import machine, report

import isozoo
from isozoo.regularizers import METHODS, convolutions, is_constrained, orthogonality_penalty


def kernels_of(name: str) -> list[tuple[tf.Variable, tuple[int, int]]]:
    """Return the constrained kernels of a network, at random, with the strides they belong to."""
    layers = convolutions(isozoo.create(name))
    rng = np.random.default_rng(0)
    kernels = []
    for layer in layers:
        if is_constrained(layer):
            shape = tuple(layer.kernel.shape)
            values = rng.normal(size=shape) / np.sqrt(np.prod(shape[:3]))
            kernels.append((tf.Variable(values.astype("float32")), layer.strides))
    return kernels


def penalty_and_gradient(kernels: list, method: str | None) -> Callable[[], float]:
    """Return a function that computes the penalty of all kernels and the gradients of each."""

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape:
            total = sum(orthogonality_penalty(k, s, method=method) for k, s in kernels)
        return total, tape.gradient(total, [k for k, _ in kernels])

    def run() -> float:
        total, gradients = compute()
        gradients[-1].numpy()
        return float(total)

    return run


def compare(name: str, rounds: int) -> dict:
    """Time the methods in turns; return milliseconds, medians over the rounds, and the ratio."""
    kernels = kernels_of(name)
    runs = {method: penalty_and_gradient(kernels, method) for method in METHODS}
    runs["fastest"] = penalty_and_gradient(kernels, None)
    values = {method: run() for method, run in runs.items()}
    times: dict[str, list[float]] = {method: [] for method in runs}
    for _ in range(rounds):
        for method, run in runs.items():
            start = time.perf_counter()
            run()
            times[method].append(1e3 * (time.perf_counter() - start))
    ratios = {
        method: [b / a for a, b in zip(times[method], times["convolution"], strict=True)]
        for method in runs
    }
    return {
        "network": name,
        "kernels": len(kernels),
        "milliseconds": {method: round(statistics.median(t), 2) for method, t in times.items()},
        "convolution_over": {m: round(statistics.median(r), 2) for m, r in ratios.items()},
        "convolution_over_range": {
            m: [round(min(r), 2), round(max(r), 2)] for m, r in ratios.items()
        },
        "values": values,
    }


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", help="architectures, such as r-isonet-18")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write the result as JSON here")
    args = parser.parse_args()
    result = {
        "machine": machine() | {"tensorflow": tf.__version__},
        "rounds": args.rounds,
        "networks": [compare(name, args.rounds) for name in args.names],
    }
    report(result, args.out)


if __name__ == "__main__":
    main()
