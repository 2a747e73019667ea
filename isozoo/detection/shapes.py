"""Pictures of squares, discs and triangles, drawn as they are asked for: a data set to try on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isozoo.detection.evaluation import as_coco
from isozoo.detection.samples import MASK_SIDE, Annotations

CLASSES = ("square", "disc", "triangle")
#: Objects may overlap by this share of the smaller box at most, so that each can be seen.
LARGEST_COVER = 0.2
TRIES = 50


class _Shape(NamedTuple):
    label: int
    left: int
    top: int
    side: int
    colour: np.ndarray


class DrawnShapes:
    """Pictures with coloured squares, discs and triangles on noise.

    What picture `index` shows depends on `seed` and `index` only.

    Attributes:
        classes: `("square", "disc", "triangle")`.

    Args:
        count: Number of pictures.
        seed: Decides what they show.
        side: Side of a picture in pixels, at least 32.
        most: Largest number of objects in one; the least is 1.

    Raises:
        ValueError: `count` or `most` is below 1, or `side` below 32.

    Example:
        >>> shapes = DrawnShapes(10, seed=1)
        >>> shapes.image(3).shape, bool(len(shapes.objects(3).boxes))
        ((128, 128, 3), True)
    """

    classes = CLASSES

    def __init__(self, count: int, seed: int = 0, side: int = 128, most: int = 4):
        if count < 1 or most < 1 or side < 32:
            raise ValueError(
                "drawn shapes need a picture, an object and 32 pixels at least, got "
                f"count={count}, most={most}, side={side}"
            )
        self.count = count
        self.seed = seed
        self.side = side
        self.most = most

    def __len__(self) -> int:
        return self.count

    @property
    def category_ids(self) -> tuple[int, ...]:
        """COCO's numbers of the classes."""
        return tuple(range(1, len(self.classes) + 1))

    @property
    def image_ids(self) -> tuple[int, ...]:
        """COCO's numbers of the pictures."""
        return tuple(range(1, self.count + 1))

    @property
    def dataset(self) -> dict[str, Any]:
        """The objects of all pictures as COCO has them, see `isozoo.detection.evaluation`."""
        return as_coco(self, self.classes)

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of a picture."""
        return self.side, self.side

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(side, side, 3)` of a picture."""
        rng = self._random(index)
        shapes = self._placed(rng)
        ground = rng.uniform(60, 190, 3)
        pixels = ground + rng.normal(0, 20, (self.side, self.side, 3))
        for shape in shapes:
            rows = slice(shape.top, shape.top + shape.side)
            columns = slice(shape.left, shape.left + shape.side)
            # Far from the ground: an object that cannot be seen cannot be found.
            colour = np.where(ground > 125, ground - 60, ground + 60) + shape.colour
            inside = _inside(shape.label, shape.side)
            noise = rng.normal(0, 10, (shape.side, shape.side, 3))
            pixels[rows, columns][inside] = (colour + noise)[inside]
        return np.clip(pixels, 0, 255).astype(np.uint8)

    def objects(self, index: int) -> Annotations:
        """Return the objects of a picture; masks are whole even where another one covers them."""
        shapes = self._placed(self._random(index))
        boxes = [(s.left, s.top, s.left + s.side, s.top + s.side) for s in shapes]
        return Annotations(
            np.array(boxes, np.float32),
            np.array([shape.label for shape in shapes], np.int32),
            np.array([_inside(shape.label, MASK_SIDE) for shape in shapes], np.uint8),
        )

    def _random(self, index: int) -> np.random.Generator:
        if not 0 <= index < self.count:
            raise IndexError(f"there are {self.count} pictures, asked for number {index}")
        return np.random.default_rng([self.seed, index])

    def _placed(self, rng: np.random.Generator) -> list[_Shape]:
        """Draw shapes that hardly overlap."""
        shapes: list[_Shape] = []
        wanted = int(rng.integers(1, self.most + 1))
        for _ in range(TRIES):
            side = int(rng.integers(self.side // 8, self.side // 2))
            left, top = (int(v) for v in rng.integers(0, self.side - side + 1, 2))
            label = int(rng.integers(len(CLASSES)))
            shape = _Shape(label, left, top, side, rng.uniform(-40, 40, 3))
            if len(shapes) < wanted and all(_cover(shape, s) <= LARGEST_COVER for s in shapes):
                shapes.append(shape)
        return shapes


def _cover(one: _Shape, other: _Shape) -> float:
    """Return the share of the smaller box that the other covers."""
    across = min(one.left + one.side, other.left + other.side) - max(one.left, other.left)
    down = min(one.top + one.side, other.top + other.side) - max(one.top, other.top)
    return max(across, 0) * max(down, 0) / min(one.side, other.side) ** 2


def _inside(label: int, side: int) -> np.ndarray:
    """Return which pixels of its box a shape covers, `(side, side)`."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    return (
        np.ones((side, side), bool),
        x**2 + y**2 <= 1,
        # The tip above, the base below.
        2 * np.abs(x) <= y + 1,
    )[label]
