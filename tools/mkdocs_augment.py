"""MkDocs hook: draws what each augmentation does to the sample picture, as the site is built."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from PIL import Image, ImageOps

from isozoo.data import IMAGENET, Augment, InMemoryImages
from isozoo.data.batches import TrainingBatches

ROOT = Path(__file__).resolve().parents[1]
SIDE, VIEWS, GAP = 128, 5, 6
WHOLE = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip": False}

#: The settings that each picture shows, by its name.
SHOWN: dict[str, Augment] = {
    "crop": Augment(size=SIDE, flip=False),
    "padding": Augment(size=SIDE, flip=False, crop_padding=24),
    "randaugment": Augment(size=SIDE, **WHOLE, randaugment=2, magnitude=9.0),
    "erasing": Augment(size=SIDE, **WHOLE, erasing=1.0),
    "mixup": Augment(size=SIDE, **WHOLE, mixup=1.0),
    "cutmix": Augment(size=SIDE, **WHOLE, cutmix=1.0),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `assets/augment/NAME.png`, a row of views, for each of `SHOWN`."""
    for name, augment in SHOWN.items():
        target = f"assets/augment/{name}.png"
        files.append(File.generated(config, target, content=_encoded(_row(augment))))
    return files


def _row(augment: Augment) -> np.ndarray:
    """Return views side by side: of the picture, mixed with its negative where images are mixed."""
    picture = Image.open(ROOT / "examples" / "golf-ball.png").convert("RGB")
    picture = ImageOps.fit(picture, (SIDE, SIDE))
    pair = np.stack([np.asarray(picture), np.asarray(ImageOps.invert(picture))])
    batches = TrainingBatches(
        InMemoryImages(pair, [0, 1], ["picture", "negative"]),
        preprocessing=IMAGENET,
        augment=augment,
        batch_size=2,
        seed=7,
        epochs=range(VIEWS),
    )
    row = np.full((SIDE, VIEWS * (SIDE + GAP) - GAP, 3), 255, np.uint8)
    for number in range(VIEWS):
        made = batches(number)
        kept, own = made.weights[0], made.labels.tolist().index(0)
        view = kept * made.images[own] + (1 - kept) * made.images[::-1][own]
        left = number * (SIDE + GAP)
        row[:, left : left + SIDE] = view.astype(np.uint8)
    return row


def _encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()
