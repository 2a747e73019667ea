"""RandAugment: random operations on the colours and the geometry of a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

# What is uncovered when a picture is moved, as in the authors' code.
_GREY = (128, 128, 128)

Operation = Callable[[Image.Image, float], Image.Image]
"""Changes an RGB picture by a strength in [-1, 1]; those without a direction use its size."""


def _affine(matrix: Callable[[float, Image.Image], tuple[float, ...]]) -> Operation:
    def change(picture: Image.Image, strength: float) -> Image.Image:
        return picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            matrix(strength, picture),
            Image.Resampling.BILINEAR,
            fillcolor=_GREY,
        )

    return change


def _rotate(picture: Image.Image, strength: float) -> Image.Image:
    return picture.rotate(30 * strength, Image.Resampling.BILINEAR, fillcolor=_GREY)


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda picture, strength: kind(picture).enhance(1 + 0.9 * strength)


def _posterize(picture: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(picture, 8 - round(4 * abs(strength)))


def _solarize(picture: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(picture, round(256 * (1 - abs(strength))))


#: The fourteen operations of the paper by name.
OPERATIONS: dict[str, Operation] = {
    "identity": lambda picture, strength: picture,
    "auto-contrast": lambda picture, strength: ImageOps.autocontrast(picture),
    "equalize": lambda picture, strength: ImageOps.equalize(picture),
    "rotate": _rotate,
    "solarize": _solarize,
    "color": _enhance(ImageEnhance.Color),
    "posterize": _posterize,
    "contrast": _enhance(ImageEnhance.Contrast),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "shear-x": _affine(lambda by, picture: (1, 0.3 * by, 0, 0, 1, 0)),
    "shear-y": _affine(lambda by, picture: (1, 0, 0, 0.3 * by, 1, 0)),
    "translate-x": _affine(lambda by, picture: (1, 0, 0.45 * by * picture.width, 0, 1, 0)),
    "translate-y": _affine(lambda by, picture: (1, 0, 0, 0, 1, 0.45 * by * picture.height)),
}
_ALL = tuple(OPERATIONS.values())


def rand_augment(
    pixels: np.ndarray, operations: int, magnitude: float, rng: np.random.Generator
) -> np.ndarray:
    r"""Apply random operations to a picture, each to the result of the one before.

    With strength $s = \pm M / 10$: rotate by $30 s$ degrees, shear by $0.3 s$, translate by
    $0.45 s$ of the side, colour, contrast, brightness and sharpness times $1 + 0.9 s$, keep
    $8 - 4 |s|$ bits, invert what is above $256 (1 - |s|)$; identity, auto-contrast and equalisation
    know no strength. These are the paper's operations with the ranges of torchvision, whose
    magnitude 30 is 10 here.

    They are Pillow's, not Keras's: a layer of Keras draws for a batch at once from its own state,
    and here each picture's draws are a function of seed, epoch and sample alone.

    Args:
        pixels: uint8 `(height, width, 3)`.
        operations: How many, N.
        magnitude: How strong, M, in [0, 10].
        rng: Source of randomness.

    Returns:
        uint8 `(height, width, 3)`.

    Reference:
        Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search
        space", NeurIPS 2020.

    Example:
        >>> grey = np.full((8, 8, 3), 128, np.uint8)
        >>> rand_augment(grey, 2, 0, np.random.default_rng(0)).shape
        (8, 8, 3)
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    for _ in range(operations):
        number, sign = int(rng.integers(len(_ALL))), 1 if rng.random() < 0.5 else -1
        picture = _ALL[number](picture, sign * magnitude / 10)
    return np.asarray(picture)
