import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.data import Augment
from isozoo.data.mixing import Mixing, draw_mixing, paste_boxes

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
ALPHAS = st.floats(0.05, 4)


@PROPERTY
@given(size=st.integers(1, 64), alpha=ALPHAS, seed=st.integers(0, 2**32))
def test_a_label_keeps_the_part_of_the_area_that_is_left(size, alpha, seed):
    mixing = draw_mixing(0.0, alpha, size, np.random.default_rng(seed))
    images = np.stack([np.full((size, size, 1), value) for value in range(4)])
    mixed = images.copy()
    paste_boxes(mixed, mixing.box)
    for own, image in enumerate(mixed):
        assert set(np.unique(image)) <= {own, 3 - own}
        assert (image == own).mean() == pytest.approx(mixing.label, abs=1e-12)
    assert mixing.pixels == 1.0
    assert 0 <= mixing.label <= 1


@PROPERTY
@given(mixup=ALPHAS, seed=st.integers(0, 2**32))
def test_mixup_keeps_one_part_of_pixels_and_labels_and_no_box(mixup, seed):
    mixing = draw_mixing(mixup, 0.0, 8, np.random.default_rng(seed))
    assert mixing == Mixing(mixing.label, mixing.label)
    assert 0 <= mixing.label <= 1


def test_nothing_is_mixed_and_nothing_is_drawn_by_default():
    assert draw_mixing(0.0, 0.0, 8, None) == Mixing(1.0, 1.0)
    assert not Augment(size=8).mixes
    assert Augment(size=8, cutmix=1.0).mixes


def test_the_weight_of_mixup_has_the_beta_distributions_moments():
    source, a = np.random.default_rng(0), 0.4
    drawn = [Augment(size=8, mixup=a).mixing(source).label for _ in range(4000)]
    assert min(drawn) >= 0
    assert max(drawn) <= 1
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.02)
    assert np.var(drawn) == pytest.approx(1 / (4 * (2 * a + 1)), rel=0.05)


def test_boxes_have_the_authors_distribution():
    # rand_bbox of github.com/clovaai/CutMix-PyTorch, whose draws come in another order.
    def authors(size, kept, source):
        cut = int(size * math.sqrt(1.0 - kept))
        x, y = source.integers(size, size=2)
        x1, x2 = np.clip([x - cut // 2, x + cut // 2], 0, size)
        y1, y2 = np.clip([y - cut // 2, y + cut // 2], 0, size)
        return 1 - (x2 - x1) * (y2 - y1) / (size * size)

    one, other = np.random.default_rng(0), np.random.default_rng(1)
    found = [draw_mixing(0.0, 1.0, 32, one).label for _ in range(4000)]
    expected = [authors(32, other.beta(1.0, 1.0), other) for _ in range(4000)]
    levels = np.linspace(0.05, 0.95, 10)
    difference = np.quantile(found, levels) - np.quantile(expected, levels)
    assert np.abs(difference).max() < 0.03


def test_with_both_each_batch_has_one_of_them_by_an_even_chance():
    source = np.random.default_rng(0)
    mixings = [draw_mixing(1.0, 1.0, 32, source) for _ in range(1000)]
    boxes = [mixing.pixels == 1.0 for mixing in mixings]
    assert 440 < sum(boxes) < 560
    empty = Mixing().box
    assert all(box or mixing.box == empty for box, mixing in zip(boxes, mixings, strict=True))
