"""The pictures that the ranges of 8-bit numbers are measured on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from isozoo.data.images import image_paths
from isozoo.data.preprocessing import Preprocessing
from isozoo.errors import DataError
from isozoo.models.predictions import as_list

#: Pictures that are taken of a larger collection: more change the ranges no longer.
IMAGES = 300


def calibration_batches(
    pictures: Any, preprocessing: Preprocessing, data_format: str
) -> Sequence[np.ndarray]:
    """Return preprocessed pictures to calibrate on.

    Args:
        pictures: A folder of pictures, searched through and through, or pictures as `classify`
            takes them. Of more than `IMAGES`, as many are taken at equal distances: in a folder of
            class folders, of every class.
        preprocessing: The network's own.
        data_format: Order of the axes, `"channels_last"` or `"channels_first"`.

    Returns:
        One float32 batch of a single image per picture.

    Raises:
        DataError: The folder does not exist, or there is no picture.
        ImageError: A picture cannot be read; the message names it.
    """
    if isinstance(pictures, str | os.PathLike):
        pictures = image_paths(pictures)
    pictures = as_list(pictures)
    if not pictures:
        raise DataError(
            "no picture was given to calibrate on; give a few hundred like those the network will "
            "see"
        )
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), IMAGES)).round().astype(int)
    batches = [preprocessing(pictures[index])[None] for index in chosen]
    if data_format == "channels_first":
        batches = [np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) for batch in batches]
    return batches
