"""Pictures with objects in COCO's format: boxes, polygons, run-length masks, crowds."""

from __future__ import annotations

import functools
import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from isozoo.data.images import is_image_name, open_image
from isozoo.data.storage import ImageStorage, open_storage
from isozoo.detection.samples import MASK_SIDE, Annotations
from isozoo.errors import DataError, MissingExtraError

#: Boxes with a side below this, in pixels, are left out.
LEAST_SIDE = 1.0


class CocoImages:
    """Pictures with objects, a split of a data set in COCO's format.

    Crowds are not objects to learn from; they count in `isozoo.detection.evaluation`. Boxes are
    cut to their picture, and those with a side below one pixel left out: `degenerate` says how
    many.

    Attributes:
        classes: Names of the classes, in the order of COCO's numbers, which may have gaps.
        category_ids: COCO's number of each class.
        image_ids: COCO's number of each picture, ascending.
        degenerate: Objects that were left out.
        dataset: The annotations as they were read.

    Args:
        storage: Where the pictures are.
        root: The folder of the pictures in it.
        dataset: The content of the annotation file.
        where: What errors call it.

    Raises:
        DataError: The annotations are not what COCO's are; the message names the first picture and
            annotation that is not.
    """

    def __init__(
        self, storage: ImageStorage, root: PurePosixPath, dataset: Mapping[str, Any], where: str
    ):
        self._storage = storage
        self._root = root
        self._where = where
        self.dataset = dataset
        _check_keys(dataset, ("images", "annotations", "categories"), where)
        categories = {}
        for category in dataset["categories"]:
            _check_keys(category, ("id", "name"), f"a category of {where}")
            categories[category["id"]] = str(category["name"])
        self.category_ids: tuple[int, ...] = tuple(sorted(categories))
        self.classes: tuple[str, ...] = tuple(categories[number] for number in self.category_ids)
        self._labels = {number: label for label, number in enumerate(self.category_ids)}
        self._images = {}
        for image in dataset["images"]:
            named = f"image {_key(image, 'id')} of {where}"
            _check_keys(image, ("id", "file_name", "height", "width"), named)
            _check_numbers([image["height"], image["width"]], 2, f"{named}: height and width")
            self._images[image["id"]] = image
        self.image_ids: tuple[int, ...] = tuple(sorted(self._images))
        self._objects = self._sorted()
        files = set(storage.files)
        lost = [i for i in self.image_ids if root / self._images[i]["file_name"] not in files]
        if lost:
            raise DataError(
                f"{len(lost)} pictures of {where} are missing in {storage.path / root}, first "
                f"image {lost[0]}, '{self._images[lost[0]]['file_name']}'; fetch them"
            )

    @classmethod
    def open(cls, path: str | os.PathLike[str], split: str) -> CocoImages:
        """Open a split: `annotations/instances_SPLIT*.json`, pictures in the folder `SPLIT*`.

        Args:
            path: The folder or uncompressed tar file of the data set.
            split: `"train"` or `"val"`; with the year, if there are several years.

        Raises:
            DataError: There is no such split, or see the class.
        """
        storage = open_storage(path, _is_wanted)
        named = [
            name for name in storage.files
            if name.suffix == ".json" and name.stem.startswith(f"instances_{split}")
        ]  # fmt: skip
        if len(named) != 1:
            found = sorted(str(name) for name in storage.files if name.suffix == ".json")
            raise DataError(
                f"{len(named)} files annotations/instances_{split}*.json at {path}, needs one; "
                f"found: {', '.join(found) or 'no annotations'}"
            )
        (name,) = named
        folder = name.parent.parent / name.stem.removeprefix("instances_")
        try:
            dataset = json.loads(storage.read(name))
        except ValueError as error:
            raise DataError(f"'{name}' at {path} is not JSON ({error}); fetch it again") from error
        return cls(storage, folder, dataset, f"'{name}'")

    def __len__(self) -> int:
        return len(self.image_ids)

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of a picture as its annotation says them."""
        return self._sides(self.image_ids[index])

    def image(self, index: int) -> np.ndarray:
        """Return the uint8 pixels `(height, width, 3)` of a picture.

        Raises:
            ImageError: It is damaged.
            DataError: It has other sides than its annotation says.
        """
        about = self._images[self.image_ids[index]]
        name = self._root / about["file_name"]
        pixels = np.asarray(open_image(self._storage.read(name), name=f"'{name}'"))
        if pixels.shape[:2] != self.size(index):
            raise DataError(
                f"image {about['id']}, '{name}', has {pixels.shape[:2]} pixels, {self._where} says "
                f"{self.size(index)}; fetch both again"
            )
        return pixels

    def objects(self, index: int) -> Annotations:
        """Return the objects of a picture, without crowds.

        Raises:
            MissingExtraError: pycocotools is not installed.
        """
        height, width = self.size(index)
        found = self._objects[self.image_ids[index]]
        boxes = np.array([_corners(a["bbox"], height, width) for a in found], np.float32)
        masks = [
            _in_box(_whole_mask(a["segmentation"], height, width), box)
            for a, box in zip(found, boxes, strict=True)
        ]
        return Annotations(
            boxes.reshape(-1, 4),
            np.array([self._labels[a["category_id"]] for a in found], np.int32),
            np.array(masks, np.uint8).reshape(-1, MASK_SIDE, MASK_SIDE),
        )

    def _sorted(self) -> dict[int, list[dict]]:
        """Return the objects to learn from by picture."""
        found = defaultdict(list)
        self.degenerate = 0
        for annotation in self.dataset["annotations"]:
            where = f"annotation {_key(annotation, 'id')} of image {_key(annotation, 'image_id')}"
            where = f"{where} in {self._where}"
            _check_keys(annotation, ("image_id", "category_id", "bbox", "segmentation"), where)
            if annotation["image_id"] not in self._images:
                raise DataError(f"{where}: there is no such image; remove it")
            if annotation["category_id"] not in self._labels:
                raise DataError(f"{where}: there is no category {annotation['category_id']}")
            _check_numbers(annotation["bbox"], 4, f"{where}: a box")
            height, width = self._sides(annotation["image_id"])
            _check_mask(annotation["segmentation"], height, width, where)
            if annotation.get("iscrowd"):
                continue
            left, top, right, bottom = _corners(annotation["bbox"], height, width)
            if min(right - left, bottom - top) < LEAST_SIDE:
                self.degenerate += 1
            else:
                found[annotation["image_id"]].append(annotation)
        return found

    def _sides(self, number: int) -> tuple[int, int]:
        image = self._images[number]
        return image["height"], image["width"]


def _is_wanted(name: PurePosixPath) -> bool:
    return is_image_name(name) or (name.suffix == ".json" and name.parent.name == "annotations")


def _check_keys(found: Any, keys: tuple[str, ...], where: str) -> None:
    lacking = [key for key in keys if not isinstance(found, Mapping) or key not in found]
    if lacking:
        raise DataError(f"{where} lacks {', '.join(lacking)}; it is not in COCO's format")


def _key(found: Any, key: str) -> Any:
    return found.get(key) if isinstance(found, Mapping) else None


def _check_numbers(found: Any, count: int, what: str) -> None:
    numbers = isinstance(found, list) and all(isinstance(x, int | float) for x in found)
    if not numbers or len(found) != count or not all(math.isfinite(x) for x in found):
        raise DataError(f"{what} must be {count} finite numbers, found {found}; mend or remove it")


def _check_mask(found: Any, height: int, width: int, where: str) -> None:
    """Refuse what is neither polygons nor run lengths of the picture."""
    if isinstance(found, Mapping):
        if "counts" not in found or list(found.get("size", ())) != [height, width]:
            raise DataError(
                f"{where}: run lengths have counts and the size [{height}, {width}] of the "
                f"picture, found {sorted(found)} of size {found.get('size')}; mend or remove it"
            )
        return
    polygons = found if isinstance(found, list) else []
    for polygon in polygons:
        corners = len(polygon) if isinstance(polygon, list) else 0
        if corners < 6 or corners % 2:
            raise DataError(
                f"{where}: a polygon has three points or more, found {polygon}; mend or remove it"
            )
        _check_numbers(polygon, corners, f"{where}: a polygon")
    if not polygons:
        raise DataError(
            f"{where}: a mask is polygons or run lengths, found {found}; objects without a mask "
            "cannot be learned from, remove it"
        )


def _corners(box: Any, height: int, width: int) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of `[left, top, width, height]`, cut to the picture."""
    left, top, across, down = box

    def cut(place: float, limit: int) -> float:
        return min(max(place, 0.0), float(limit))

    return cut(left, width), cut(top, height), cut(left + across, width), cut(top + down, height)


@functools.cache
def coco_masks() -> Any:
    """Return `pycocotools.mask`.

    Raises:
        MissingExtraError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise MissingExtraError(
            "COCO's masks need pycocotools: python -m pip install 'isozoo[detection]'"
        ) from error
    return mask


def _whole_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return the mask `(height, width)`, uint8, of polygons or run lengths."""
    tools = coco_masks()
    if isinstance(segmentation, Mapping):
        runs = segmentation
        if isinstance(runs["counts"], list):
            runs = tools.frPyObjects(runs, height, width)
    else:
        runs = tools.merge(tools.frPyObjects(segmentation, height, width))
    return tools.decode(runs)


def _in_box(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the pixels under points that divide a box evenly, `(MASK_SIDE, MASK_SIDE)`."""
    places = (np.arange(MASK_SIDE) + 0.5) / MASK_SIDE
    left, top, right, bottom = box
    rows = np.floor(top + places * (bottom - top)).astype(int)
    columns = np.floor(left + places * (right - left)).astype(int)
    return mask[rows[:, None], columns]
