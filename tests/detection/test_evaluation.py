"""Average precision of perfect, shifted, empty and crowded answers; masks laid into pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.detection.coco import CocoImages
from isozoo.detection.evaluation import METRICS, Detections, average_precision
from isozoo.detection.pasting import LEAST_EXTENT, paste
from isozoo.detection.shapes import DrawnShapes
from isozoo.errors import DataError

pytest.importorskip("pycocotools", reason="needs the extra `detection`")


def truth(data, shift=0.0):
    """The objects of a data set as if they had been found."""
    for index in range(len(data)):
        boxes, labels, masks = data.objects(index)
        yield Detections(boxes + shift, labels, np.ones(len(boxes)), masks.astype("float32"))


def measured(data, detections):
    """Average precisions as plain numbers, NaN where there is nothing to find."""
    found = average_precision(data, detections)
    return {
        kind: {name: np.nan if value is None else value for name, value in numbers.items()}
        for kind, numbers in found.items()
    }


@pytest.fixture(scope="module")
def data(shared):
    return CocoImages.open(shared / "data" / "coco-mini.tar", "val")


def test_what_is_true_has_full_precision(data):
    found = measured(data, truth(data))
    assert tuple(found["box"]) == tuple(found["mask"]) == METRICS
    assert found["box"]["AP"] == pytest.approx(1.0)
    assert found["box"]["AR_small"] == pytest.approx(1.0)
    # A mask of 56 x 56 cells does not tell every pixel of a large object's border.
    assert found["mask"]["AP50"] == pytest.approx(1.0, abs=0.01)
    assert found["mask"]["AP"] > 0.9


def test_what_is_beside_the_truth_has_less(data):
    found = measured(data, truth(data, shift=6.0))
    assert found["box"]["AP75"] < found["box"]["AP50"] < 1
    assert found["box"]["AP_small"] < found["box"]["AP_large"]


def test_nothing_found_is_zero(data):
    nothing = Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), np.zeros((0, 28, 28)))
    found = measured(data, [nothing] * len(data))
    assert found["box"]["AP"] == found["mask"]["AR100"] == 0


def test_answers_have_to_be_as_many_as_pictures(data):
    with pytest.raises(DataError, match="detections of 49 pictures do not go with 50 pictures"):
        average_precision(data, list(truth(data))[:-1])


class Pictures:
    """Two pictures of 100 x 100 pixels, the second one of a crowd."""

    classes = ("cat",)
    category_ids = (4,)
    image_ids = (7, 9)

    @property
    def dataset(self):
        return {
            "images": [{"id": n, "height": 100, "width": 100, "file_name": ""} for n in (7, 9)],
            "categories": [{"id": 4, "name": "cat"}],
            "annotations": [
                {"image_id": 7, "category_id": 4, "bbox": [0, 0, 30, 30], "area": 900,
                 "segmentation": [[0, 0, 30, 0, 30, 30, 0, 30]]},
                {"image_id": 9, "category_id": 4, "bbox": [0, 0, 90, 90], "area": 8100,
                 "iscrowd": 1,
                 "segmentation": {"size": [100, 100], "counts": [0, 9000, 1000]}},
            ],
        }  # fmt: skip

    def size(self, index):
        return 100, 100


def detected(*boxes, scores=None, masks=None):
    count = len(boxes)
    return Detections(
        np.array(boxes, float).reshape(-1, 4), np.zeros(count, int),
        np.ones(count) if scores is None else np.array(scores),
        np.ones((count, 28, 28)) if masks is None else masks,
    )  # fmt: skip


def test_what_is_found_in_a_crowd_counts_neither_way():
    crowd = detected([5, 5, 40, 40], [20, 20, 80, 80])
    found = measured(Pictures(), [detected([0, 0, 30, 30]), crowd])
    assert found["box"]["AP"] == found["mask"]["AP"] == pytest.approx(1.0)
    beside = detected([91, 91, 99, 99], scores=[2.0])
    assert measured(Pictures(), [detected([0, 0, 30, 30]), beside])["box"]["AP"] < 1


def test_a_mask_has_its_own_area_and_not_its_boxes():
    half = np.zeros((2, 28, 28))
    half[0] = 1
    half[1, :, :14] = 1
    # The better one is wrong: a box of 1,600 pixels, a mask of 800, which is small.
    found = detected([0, 0, 30, 30], [50, 50, 90, 90], scores=[0.5, 0.9], masks=half)
    numbers = measured(Pictures(), [found, detected()])
    assert numbers["mask"]["AP_small"] == pytest.approx(0.5)
    assert numbers["box"]["AP_small"] == pytest.approx(1.0)
    assert np.isnan(numbers["box"]["AP_large"])


def test_other_classes_are_refused():
    with pytest.raises(DataError, match=r"classes dog\.\.\., the pictures have cat"):
        average_precision(Pictures(), [detected(), detected()], labels=["dog"])


def test_drawn_shapes_can_be_measured_on():
    shapes = DrawnShapes(6, side=64)
    found = measured(shapes, truth(shapes))
    assert found["box"]["AP"] == pytest.approx(1.0)
    assert found["mask"]["AP50"] == pytest.approx(1.0)


@settings(deadline=None)
@given(
    st.integers(1, 9), st.floats(-9, 20), st.floats(-9, 20), st.floats(0, 30), st.floats(0, 30),
    st.integers(0, 2**31),
)  # fmt: skip
def test_masks_are_pasted_pixel_by_pixel(side, left, top, wide, high, seed):
    mask = np.random.default_rng(seed).random((side, side))
    found = paste(mask, np.array([left, top, left + wide, top + high]), 12, 15)
    assert found.shape == (12, 15)
    for i in range(12):
        for j in range(15):
            if min(left + wide - left, top + high - top) <= LEAST_EXTENT:
                assert not found[i, j]
                continue
            y = (i + 0.5 - top) / high * side - 0.5
            x = (j + 0.5 - left) / wide * side - 0.5
            value = sum(
                mask[p, q] * max(0, 1 - abs(y - p)) * max(0, 1 - abs(x - q))
                for p in range(side)
                for q in range(side)
            )
            if abs(value - 0.5) > 1e-6:
                assert found[i, j] == (value >= 0.5)
