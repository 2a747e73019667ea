"""Run the study of VGG with and without batch normalisation; write what docs/smoothness.md tells.

    python benchmarks/vgg.py --data cifar10-jpeg.npz --images 20000

The archive holds images as JPEG files end to end: `train_jpeg`, `train_offsets`, `train_label`, the
same of `test`, and `class_names`. With CIFAR-10 as TensorFlow Datasets has it, the study is
`isozoo reproduce vgg`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from isozoo.data import InMemoryImages
from isozoo.experiments.vgg import vgg_study
from isozoo.files import atomic_write

RESULTS = Path(__file__).resolve().parent / "results" / "diagnostics"


def images_of(archive: np.lib.npyio.NpzFile, split: str, count: int) -> InMemoryImages:
    """Return the first images of a split."""
    offsets, pixels = archive[f"{split}_offsets"], archive[f"{split}_jpeg"]
    files = [pixels[offsets[i] : offsets[i + 1]].tobytes() for i in range(count)]
    names = [str(name) for name in archive["class_names"]]
    return InMemoryImages(files, archive[f"{split}_label"][:count], names)


def main() -> None:
    """Run the study and write it."""
    parser = argparse.ArgumentParser(description="VGG with and without batch normalisation.")
    parser.add_argument("--data", required=True, help="the archive")
    parser.add_argument("--images", type=int, default=20_000, help="to train on (%(default)s)")
    parser.add_argument("--validation", type=int, default=2_000, help="to validate on")
    parser.add_argument("--scale", default="small")
    args = parser.parse_args()
    archive = np.load(args.data)
    samples = {
        "train": images_of(archive, "train", args.images),
        "val": images_of(archive, "test", args.validation),
    }
    study = vgg_study(
        samples,
        scale=args.scale,
        told=lambda m: print(f"{m.network}: {m.accuracy}, {m.seconds} s", flush=True),
    )
    study = dataclasses.replace(study, dataset="CIFAR-10, re-encoded as JPEG")
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(study.to_json(), allow_nan=False)
    atomic_write(RESULTS / f"{study.measure}.json", text + "\n")


if __name__ == "__main__":
    main()
