"""Data sets in COCO's format, sound and not."""

import json

import numpy as np
import pytest
from PIL import Image

from isozoo.detection.coco import CocoImages
from isozoo.detection.samples import MASK_SIDE
from isozoo.errors import DataError

pytest.importorskip("pycocotools", reason="needs the extra `detection`")

SQUARE = [[4, 2, 12, 2, 12, 10, 4, 10]]


def annotation(number, **changes):
    said = {
        "id": number, "image_id": 3, "category_id": 7, "bbox": [4, 2, 8, 8], "area": 64,
        "iscrowd": 0, "segmentation": SQUARE,
    }  # fmt: skip
    return said | changes


@pytest.fixture
def write(tmp_path):
    """Write a data set of two pictures, 20 wide and 16 high, and open it."""

    def write(*annotations, sides=(20, 16), categories=((7, "cat"), (2, "dog")), lost=()):
        (tmp_path / "train2017").mkdir()
        (tmp_path / "annotations").mkdir()
        images = []
        for number in (3, 1):
            name = f"{number}.png"
            images.append({"id": number, "file_name": name, "width": 20, "height": 16})
            if number not in lost:
                Image.new("RGB", sides, (9 * number, 0, 0)).save(tmp_path / "train2017" / name)
        content = {
            "images": images,
            "annotations": list(annotations),
            "categories": [{"id": number, "name": name} for number, name in categories],
        }
        path = tmp_path / "annotations" / "instances_train2017.json"
        path.write_text(json.dumps(content))
        return CocoImages.open(tmp_path, "train")

    return write


def test_pictures_and_classes_are_in_the_order_of_their_numbers(write):
    data = write(annotation(1))
    assert (data.classes, data.category_ids, data.image_ids) == (("dog", "cat"), (2, 7), (1, 3))
    assert data.image(0)[0, 0, 0] == 9
    nothing, one = data.objects(0), data.objects(1)
    assert (nothing.boxes.shape, nothing.masks.shape) == ((0, 4), (0, MASK_SIDE, MASK_SIDE))
    assert (one.boxes.tolist(), one.labels.tolist()) == ([[4, 2, 12, 10]], [1])
    assert one.masks.all()


def test_a_mask_lies_in_the_frame_of_its_box(write):
    half = [[4, 2, 8, 2, 8, 10, 4, 10]]
    runs = {"size": [16, 20], "counts": [0, 16 * 8, 16 * 12]}
    data = write(
        annotation(1, segmentation=half),
        annotation(2, segmentation=runs, bbox=[0, 0, 20, 16]),
    )
    of_polygon, of_runs = data.objects(1).masks
    left = np.arange(MASK_SIDE) < MASK_SIDE / 2
    assert (of_polygon == left).all()
    assert of_runs.mean() == pytest.approx(0.4, abs=0.02)


def test_crowds_and_boxes_without_area_are_no_objects(write):
    data = write(
        annotation(1, iscrowd=1),
        annotation(2, bbox=[4, 2, 0, 8]),
        annotation(3, bbox=[19.5, 2, 30, 8]),
        annotation(4, bbox=[-5, -5, 10, 10]),
    )
    assert data.degenerate == 2
    assert data.objects(1).boxes.tolist() == [[0, 0, 5, 5]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 99}, "annotation 5 of image 99 .*: there is no such image"),
        ({"category_id": 1}, "annotation 5 of image 3 .*: there is no category 1"),
        ({"bbox": [1, 2, 3]}, r"annotation 5 of image 3 .*: a box must be 4 finite numbers"),
        (
            {"bbox": [1, 2, 3, float("nan")]},
            r"a box must be 4 finite numbers, found \[1, 2, 3, nan\]",
        ),
        ({"bbox": None}, "a box must be 4 finite numbers, found None"),
        ({"segmentation": None}, "a mask is polygons or run lengths, found None"),
        ({"segmentation": []}, "a mask is polygons or run lengths"),
        ({"segmentation": [[1, 2, 3]]}, r"a polygon has three points or more, found \[1, 2, 3\]"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "a polygon must be 6 finite numbers"),
        ({"segmentation": {"size": [16, 20]}}, "run lengths have counts and the size"),
        ({"segmentation": {"size": [8, 8], "counts": []}}, r"the size \[16, 20\] of the picture"),
    ],
)
def test_a_malformed_annotation_is_named(write, changes, message):
    with pytest.raises(DataError, match=message):
        write(annotation(4), annotation(5, **changes))


def test_an_annotation_without_a_box_is_named(write):
    broken = annotation(5)
    del broken["bbox"]
    with pytest.raises(DataError, match=r"annotation 5 of image 3 .* lacks bbox; it is not in"):
        write(broken)


def test_a_lost_picture_is_named(write):
    with pytest.raises(DataError, match=r"1 pictures of .* are missing .*first image 1, '1.png'"):
        write(annotation(1), lost=(1,))


def test_a_picture_of_other_sides_is_named(write):
    data = write(annotation(1), sides=(16, 20))
    with pytest.raises(DataError, match=r"image 1, .* has \(20, 16\) pixels, .* says \(16, 20\)"):
        data.image(0)


def test_a_split_that_is_not_there_is_told(write, tmp_path):
    write(annotation(1))
    with pytest.raises(DataError, match=r"0 files .*instances_val.*found: annotations/instances"):
        CocoImages.open(tmp_path, "val")
    (tmp_path / "annotations" / "instances_val2017.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        CocoImages.open(tmp_path, "val")
    (tmp_path / "annotations" / "instances_val2017.json").write_text("{}")
    with pytest.raises(DataError, match="lacks images, annotations, categories"):
        CocoImages.open(tmp_path, "val")


def test_real_pictures_have_their_objects(shared):
    data = CocoImages.open(shared / "data" / "coco-mini.tar", "val")
    assert (len(data), len(data.classes)) == (50, 80)
    boxes, labels, masks = data.objects(0)
    assert len(boxes) == len(labels) == len(masks) > 0
    assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
    assert (masks.mean((1, 2)) > 0).all()
