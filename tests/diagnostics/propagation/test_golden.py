"""The moments of an independent float64 derivation of Labatie's definitions; see tests/golden."""

from __future__ import annotations

import functools
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from isozoo.diagnostics.propagation.kinds import kind_named
from isozoo.diagnostics.propagation.moments import (
    MEASURED,
    Scaled,
    as_rows,
    effective_rank,
    mean_square,
    power_means,
)
from isozoo.diagnostics.propagation.simulation import propagate, standardized, tensor
from isozoo.diagnostics.propagation.steps import Carried, Setting, convolution

GOLDEN = Path(__file__).parents[2] / "golden"
NETWORKS = {"vanilla": "vanilla", "bn_ff": "bn-ff", "bn_res": "bn-res"}
SETTINGS = json.loads((GOLDEN / "moments.json").read_text("utf-8"))


@functools.cache
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "moments.npz") as file:
        return dict(file)


def keyed(key: str, *shape: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)


def moments(tag: str, dtype: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the locations and the moments (depths, locations, moments) of a golden network."""
    given = SETTINGS[tag]
    kind = kind_named(NETWORKS[given["architecture"]])
    width, size, kernel = given["channels"], given["orig_size"], given["kernel_size"]
    signal = standardized(keyed(f"{tag}_signal", given["batch"], size, size, 3))
    carried = Carried(
        Scaled(tensor(signal, dtype)), Scaled(tensor(keyed(f"{tag}_noise", *signal.shape), dtype))
    )

    def kernels(unit: int, layer: int):
        key = f"{tag}_layer{unit}" + (f"_{layer}" if kind.shortcut else "")
        drawn = keyed(key, kernel, kernel, width, width)
        return tensor(drawn * np.sqrt(2 / (kernel**2 * width)), dtype)

    first = keyed(f"{tag}_orig", kernel, kernel, 3, width) * np.sqrt(1 / (kernel**2 * 3))
    setting = Setting(given["boundary"], given["epsilon"])
    carried = convolution(carried, tensor(first, dtype), setting.boundary, given["orig_stride"])
    found = propagate(
        kind, carried, kernels, depth=given["depth"], setting=setting, ranked=kind.locations
    )
    return kind.locations, np.stack(list(found))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-5)])
@pytest.mark.parametrize("tag", [tag for tag in SETTINGS if tag.startswith("moments_pub_")])
def test_networks(tag, dtype, tolerance):
    locations, found = moments(tag, dtype)
    by_name = {name: found[..., i] for i, name in enumerate(MEASURED)}
    checked = 0
    for i in range(len(locations)):
        chi = np.exp((by_name["log_mu2_noise"] - by_name["log_mu2"])[:, i] / 2)
        derived = {
            **{f"{name}_signal": np.exp(by_name[f"log_{name}"][:, i])
               for name in ("nu1_abs", "nu2", "mu2", "mu4")},
            "log_mu2_noise": by_name["log_mu2_noise"][:, i],
            "chi": chi,
            "reff_signal": by_name["reff_signal"][:, i],
            "reff_noise": by_name["reff_noise"][:, i],
        }  # fmt: skip
        for name, values in derived.items():
            expected = golden()[f"{tag}/{name}_loc{i + 1}"]
            np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance)
            checked += 1
    assert checked == sum(key.startswith(f"{tag}/") for key in golden())


def test_single_tensors():
    tag = "moments_public_tensor"
    shape, few = (SETTINGS[tag][key] for key in ("signal_shape", "few_shape"))
    signal = keyed(f"{tag}_signal", *shape) * np.arange(1, shape[-1] + 1)
    noise = 0.1 * keyed(f"{tag}_noise", *shape)
    rows, noise_rows = (as_rows(tensor(x, "float64")) for x in (signal, noise))
    _, _, _, mu2, mu4 = power_means(rows)
    found = {
        "reff_signal": effective_rank(rows),
        "mu2_signal": mu2,
        "mu4_signal": mu4,
        "mu2_noise": mean_square(noise_rows),
        "chi_like": np.sqrt(mean_square(noise_rows) / mu2),
        "reff_fewer_samples_than_channels": effective_rank(
            as_rows(tensor(keyed(f"{tag}_few", *few), "float64"))
        ),
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, golden()[f"{tag}/{name}"].item(), rtol=1e-8)
