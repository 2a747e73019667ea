"""A data set as TensorFlow Datasets prepares it, made here and without the network."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

SPLITS = {"train": 24, "test": 12}
CLASSES = ("red", "green", "blue")


def picture(split: str, number: int) -> Image.Image:
    """A noisy square of its class's colour."""
    rng = np.random.default_rng((len(split), number))
    pixels = rng.integers(0, 90, (40, 48, 3), np.uint8)
    pixels[8:32, 8:40, number % 3] += 150
    return Image.fromarray(pixels)


class DrawnSquares(tfds.core.GeneratorBasedBuilder):
    """Drawn squares in three colours."""

    # To find it, TFDS 4.9 would need a library that it does not ask for.
    pkg_dir_path = Path(__file__).parent
    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in range(SPLITS[split]):
            file = io.BytesIO()
            picture(split, number).save(file, "png")
            file.seek(0)
            yield number, {"image": file, "label": number % 3}


def prepare(folder: Path, file_format: str) -> Path:
    """Write the data set below a folder; returns its own."""
    builder = DrawnSquares(data_dir=folder, file_format=file_format)
    builder.download_and_prepare()
    return Path(builder.data_dir)
