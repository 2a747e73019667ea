"""Measure how signals propagate: in random networks of each kind, and in our own, trained or not.

    python benchmarks/propagation.py --data imagenette2-160.tar --weights weights --runs experiments
    python benchmarks/propagation.py --data imagenette2-160.tar --scale published   # days on a CPU

Writes `benchmarks/results/diagnostics/propagation.json` after each row, and does only those that
are not there yet at this scale; `--row` asks for some, `--again` for them anew. The pictures of
`docs/propagation.md` are drawn from that file by `tools/propagation_tables.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import isozoo
from isozoo.benchmark.machine import machine, versions
from isozoo.data import IMAGENET, Samples, open_split
from isozoo.diagnostics.propagation import Propagation, model_propagation, simulate
from isozoo.diagnostics.propagation.curves import Curve
from isozoo.diagnostics.subject import seeded
from isozoo.files import atomic_write
from isozoo.models.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "diagnostics" / "propagation.json"
PUBLISHED = ROOT / "tests" / "golden" / "moments_published.json"
#: The curves that are kept, and where: at the end of a unit, or at each place of it.
KEPT = {
    "log_chi": "end", "delta_chi": "each", "step_chi": "each", "reff_signal": "each",
    "reff_noise": "each", "varying": "end", "log_nu2": "end", "log_mu2_noise": "end",
    "chi": "end", "mu4": "each", "nu1_abs": "each",
}  # fmt: skip
#: The curves that are kept of a model.
KEPT_OF_MODELS = dict.fromkeys(
    ("log_chi", "delta_chi", "reff_signal", "reff_noise", "varying", "log_nu2"), "end"
)
#: Depths that are kept of a simulation, as shares of the deepest.
SHARES = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0)
DIGITS = 6


class Row(NamedTuple):
    """One simulated network.

    Args:
        key: Its name in the results.
        kind: Row of `isozoo.diagnostics.propagation.KINDS`.
        like: Key of the published curves that it repeats.
        reduced: What is smaller at the scale `"quick"` than published, in words.
        image_size: Side of the images in pixels.
        settings: Arguments of `simulate` at the scale `"quick"`.
        published: Arguments that differ at the scale `"published"`.
    """

    key: str
    kind: str
    like: str = ""
    reduced: str = ""
    image_size: int = 32
    settings: Mapping[str, Any] = MappingProxyType({})
    published: Mapping[str, Any] = MappingProxyType({})


_FULL = {"width": 512, "batch": 64, "simulations": 1000}
_FC = {"kernel_size": 1, "width": 512, "batch": 64}
_HISTOGRAM = {"kernel_size": 1, "width": 128, "points": 4}
_SMALL = {"width": 64, "batch": 32, "depth": 200, "points": 40, "simulations": 2}
_LESS = "width 64 for 512, 8 x 8 positions for 16 x 16, batch 32 for 64"

_REPEATED = (
    Row("vanilla-fc", "vanilla", "vanilla_fc", settings={**_FC, "depth": 200, "simulations": 8},
        published={"simulations": 1000}),
    Row("bn-ff-fc", "bn-ff", "bn_ff_fc_64", settings={**_FC, "depth": 200, "simulations": 6},
        published={"simulations": 1000}),
    Row("bn-res-fc", "bn-res", "bn_res_fc", settings={**_FC, "depth": 500, "simulations": 2},
        published={"simulations": 1000}),
    Row("vanilla-histogram", "vanilla", "vanilla_histo_fc", reduced="batch 64 for 1024",
        settings={**_HISTOGRAM, "batch": 64, "simulations": 24},
        published={"batch": 1024, "simulations": 10000}),
    Row("vanilla-conv", "vanilla", "vanilla_symmetric", reduced=_LESS, image_size=16,
        settings={**_SMALL, "boundary": "symmetric"},
        published={**_FULL, "image_size": 32, "points": 100}),
    Row("bn-ff-conv", "bn-ff", "bn_ff_epsilon", reduced=_LESS, image_size=16,
        settings={**_SMALL, "epsilon": 0.0},
        published={**_FULL, "image_size": 32, "points": 100}),
)  # fmt: skip
#: At common settings, which the repeated ones have not: `vanilla-conv` has another boundary and
#: `bn-ff-conv` no epsilon.
_NEW = (
    "vanilla", "bn-ff", "ln-ff", "gn-ff", "in-ff", "bin-ff", "bn-res", "ln-res", "gn-res",
    "in-res", "bin-res", "vanilla-res", "fixup", "isonet", "isonet-orthogonal", "r-isonet",
)  # fmt: skip
#: What has a shortcut has twice as many layers.
_HALF = {"bn-res", "ln-res", "gn-res", "in-res", "bin-res", "vanilla-res", "fixup", "r-isonet"}
ROWS: tuple[Row, ...] = (
    *_REPEATED,
    *(
        Row(kind, kind, image_size=16,
            settings={**_SMALL, "simulations": 1 if kind in _HALF else 2},
            published={**_FULL, "image_size": 32, "points": 100})
        for kind in _NEW
    ),
    *(
        Row(f"{kind}-differentiated", kind, image_size=16,
            settings={**_SMALL, "simulations": 1, "differentiated": True},
            published={**_FULL, "image_size": 32, "points": 100})
        for kind in ("ln-ff", "in-ff")
    ),
)  # fmt: skip

#: Our own networks, and where their weights are: below `--weights`, or of which cell of which
#: experiment below `--runs`.
NETWORKS = {
    "r-isonet-18-w32.imagenette": "",
    "resnet-18-w32.imagenette": "",
    "vanilla-101-w16": "depth-small/vanilla-101-seed0",
    "vanilla-bn-101-w16": "depth-small/vanilla-bn-101-seed0",
    "isonet-101-w16": "depth-small/isonet-101-seed0",
    "r-isonet-101-w16": "depth-small/r-isonet-101-seed0",
    "resnet-101-w16": "depth-small/resnet-101-seed0",
    "fixup-101-w16": "depth-small/fixup-101-seed0",
}
BATCH, REPEATS = 32, 1


def thinned(result: Propagation, places: Sequence[int]) -> Propagation:
    """Return a result with the kept curves alone, at some of its depths, in a few digits."""
    kept: dict[str, dict[str, Curve]] = {}
    for measure, where in (KEPT_OF_MODELS if result.names else KEPT).items():
        found = result.curves[measure]
        wanted = found if where == "each" else [list(found)[-1]]
        kept[measure] = {
            place: Curve(*(_rounded(part[..., places]) for part in found[place]))
            for place in wanted
        }
    names = tuple(np.array(result.names)[places].tolist()) if result.names else ()
    return dataclasses.replace(result, depths=result.depths[places], names=names, curves=kept)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{v:.{DIGITS}g}") for v in values.ravel()]).reshape(values.shape)


def pictures(samples: Samples, size: int, count: int = 256) -> np.ndarray:
    """Return pictures from all over a data set, `(count, size, size, 3)` in 0..255."""
    preprocessing = dataclasses.replace(IMAGENET, resize=size, size=size)
    chosen = np.linspace(0, len(samples) - 1, count).astype(int)
    return np.stack([preprocessing.pixels(samples.image(int(i))) for i in chosen])


def simulated(row: Row, scale: str, samples: Samples) -> Propagation:
    """Run the simulations of a row."""
    settings = {**row.settings, **(row.published if scale == "published" else {})}
    size = settings.pop("image_size", row.image_size)
    result = simulate(row.kind, pictures(samples, size), **settings)
    steps = np.unique([np.abs(result.depths - s * result.depths[-1]).argmin() for s in SHARES])
    if row.like:
        known = published_depths(json.loads(PUBLISHED.read_text("utf-8"))[row.like])
        steps = np.union1d(steps, np.flatnonzero(np.isin(result.depths, known)))
    return thinned(result, steps.tolist())


def published_depths(curves: dict[str, Any]) -> list[int]:
    """Return the depths of published curves."""
    if "depth" in curves:
        return curves["depth"]
    return sorted({int(d) for curve in curves.values() if isinstance(curve, dict) for d in curve})


def measured(name: str, state: str, folder: Path, samples: Samples) -> Propagation:
    """Measure one of our own networks, trained or untrained."""
    described = read_manifest(folder)
    recipe = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
    if state == "untrained":
        # The weights that its training began with.
        with seeded(recipe.get("seed", 0)):
            model = isozoo.Classifier(described.architecture)
    else:
        model = isozoo.load(folder)
    chosen = np.linspace(0, len(samples) - 1, BATCH * REPEATS).astype(int)
    images = np.stack([described.preprocessing(samples.image(int(i))) for i in chosen])
    # An untrained network's running statistics are those of no data, and before and after training
    # are measured alike. Without such statistics the modes differ by dropout alone.
    of_batch = any("moving_mean" in variable.path for variable in model.variables)
    result = model_propagation(
        model, images, batch=BATCH, repeats=REPEATS, training=of_batch, label=f"{name}, {state}"
    )
    return thinned(result, list(range(len(result.depths))))


def jobs(args: argparse.Namespace, samples: Samples) -> Iterator[tuple[str, dict, Callable]]:
    """Yield each row's key, what is noted of it, and what measures it."""
    for row in ROWS:
        note = {"like": row.like, "reduced": row.reduced if args.scale == "quick" else ""}
        yield row.key, note, lambda row=row: simulated(row, args.scale, samples)
    for name, cell in NETWORKS.items():
        base = args.runs / cell if cell else args.weights / name
        found = [base] if not cell else sorted(p.parent for p in base.glob("*/*/isozoo.json"))
        if not found or not found[0].is_dir():
            continue
        for state in ("trained", "untrained"):
            job = lambda name=name, state=state, folder=found[0]: measured(  # noqa: E731
                name, state, folder, samples
            )
            yield f"{name}.{state}", {}, job


def main() -> None:
    """Do the rows that are not done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder or tar of val/<class>/*")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights")
    parser.add_argument("--runs", type=Path, default=ROOT / "experiments")
    parser.add_argument("--scale", choices=("quick", "published"), default="quick")
    parser.add_argument("--row", action="append", default=[], help="only this row; repeatable")
    parser.add_argument("--again", action="store_true", help="also what is there")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    samples = open_split(args.data, "val")
    record = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {"rows": {}}
    for key, note, job in jobs(args, samples):
        there = record["rows"].get(key, {}).get("scale") in (args.scale, "published")
        if (args.row and key not in args.row) or (there and not args.again):
            continue
        started = time.process_time()
        result = job()
        seconds = round(time.process_time() - started, 1)
        row = {**note, "scale": args.scale, "cpu_seconds": seconds, "result": result.to_json()}
        record["rows"][key] = row
        record |= {"machine": machine(), "versions": versions(), "data": Path(args.data).name}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(args.out, json.dumps(record, ensure_ascii=False) + "\n")
        print(f"{key}: {result.verdict} ({seconds} s)", flush=True)


if __name__ == "__main__":
    main()
