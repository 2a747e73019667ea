import logging
import time

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.data import (
    Augment,
    ImageFolder,
    Preprocessing,
    Share,
    cache_images,
    evaluation_dataset,
    evaluation_sequence,
    training_dataset,
    training_sequence,
)
from isozoo.data.batches import EvaluationBatches
from isozoo.data.damage import Damage, ReplacedImages, SoundImages
from isozoo.errors import ImageError

PLAIN = Preprocessing(resize=None, size=4, mean=(0, 0, 0), std=(1, 1, 1))
AUGMENT = Augment(size=4, crop_padding=0, flip=False)


class Greys:
    """Samples of which one is grey of its number and those in `damaged` cannot be read."""

    def __init__(self, labels, damaged=()):
        self.labels = np.array(labels, np.int32)
        self.classes = tuple("abcdefgh"[: 1 + max(labels)])
        self.damaged = set(damaged)
        self.read = []

    def __len__(self):
        return len(self.labels)

    def image(self, index):
        self.read.append(index)
        if index in self.damaged:
            raise ImageError(f"cannot read '{index}.jpg' as an image")
        return np.full((4, 4, 3), index, np.uint8)


def numbers(samples) -> list[int]:
    return [int(samples.image(index)[0, 0, 0]) for index in range(len(samples))]


def values(images) -> list[int]:
    return np.round(np.array(images)[:, 0, 0, 0] * 255).astype(int).tolist()


def test_a_damaged_image_is_replaced_by_the_next_sound_one_of_its_class():
    samples = ReplacedImages(Greys([0, 1, 0, 0, 1, 1], damaged={2, 3, 5}), Damage(3, "train"))
    assert numbers(samples) == [0, 1, 0, 0, 4, 1]
    assert numbers(samples) == [0, 1, 0, 0, 4, 1]
    assert list(samples.damage.found) == [2, 3, 5]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_what_replaces_what_depends_on_nothing_but_the_data(data):
    labels = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=12))
    damaged = data.draw(st.sets(st.integers(0, len(labels) - 1)))
    whole = {labels[index] for index in range(len(labels)) if index not in damaged}
    order = [i for i in data.draw(st.permutations(range(len(labels)))) if labels[i] in whole]
    samples = ReplacedImages(Greys(labels, damaged), Damage(len(labels), "train"))
    found = {index: int(samples.image(index)[0, 0, 0]) for index in order}
    for index, other in found.items():
        assert other not in damaged
        assert labels[other] == labels[index]
        between = range(index, other + (len(labels) if other < index else 0))
        assert all(
            step % len(labels) in damaged or labels[step % len(labels)] != labels[index]
            for step in between
        )


def test_a_class_without_a_sound_image_is_an_error():
    samples = ReplacedImages(Greys([0, 1, 1], damaged={1, 2}), Damage(9, "train"))
    with pytest.raises(ImageError, match="every image of the class 'b' in train is damaged"):
        samples.image(2)


def test_the_limit(caplog):
    samples = ReplacedImages(Greys([0] * 9, damaged=range(1, 6)), Damage(4, "train"))
    with caplog.at_level(logging.WARNING):
        for index in (5, 4, 3, 3, 2):
            samples.image(index)
    told = [record.message for record in caplog.records]
    assert len(told) == len(set(told)) == 4
    assert "passing over a damaged image of train: cannot read '5.jpg' as an image" in told
    message = (
        r"more than 4 damaged images in train: cannot read '1\.jpg' as an image; .*'2\.jpg'.*; "
        r".*'3\.jpg' as an image; and 2 more; mend or remove them, or allow more \(max_damaged\)"
    )
    with pytest.raises(ImageError, match=message):
        samples.image(1)


def test_with_a_limit_of_0_the_images_own_error_is_raised():
    for kind in (ReplacedImages, SoundImages):
        samples = kind(Greys([0, 0], damaged={1}), Damage(0, "train"))
        with pytest.raises(ImageError, match=r"^cannot read '1\.jpg' as an image$"):
            samples.image(1)


def test_a_summary_names_the_first():
    damage = Damage(9, "val")
    assert damage.summary is None
    damage.note(7, ImageError("seventh"))
    assert damage.summary == "1 damaged image of val passed over: seventh"
    for index in (3, 1, 5):
        damage.note(index, ImageError(f"number {index}"))
    assert damage.summary == (
        "4 damaged images of val passed over: number 1; number 3; number 5; and 1 more"
    )


def test_what_has_gone_is_no_damage(tree):
    root = tree(["a/0.png", "a/1.png"])
    folder = ImageFolder(root)
    (root / "a/1.png").unlink()
    with pytest.raises(FileNotFoundError):
        ReplacedImages(folder, Damage(9, "train")).image(1)


@pytest.mark.parametrize("make", [training_dataset, training_sequence])
@pytest.mark.parametrize("cache", [None, 8])
def test_training_goes_on_with_replacements_and_resumes_exactly(make, cache):
    def stream(start: int) -> list[list[int]]:
        samples = ReplacedImages(Greys([0, 1] * 6, damaged={0, 3, 11}), Damage(3, "train"))
        batches = make(
            samples,
            preprocessing=PLAIN,
            augment=AUGMENT,
            batch_size=4,
            seed=0,
            epochs=range(2),
            start_step=start,
            cache=cache,
        )
        return [values(images) for images, _ in batches]

    whole = stream(0)
    counted = np.bincount(np.concatenate(whole[:3]), minlength=12)
    assert counted.tolist() == [0, 2, 2, 0, 1, 2, 1, 1, 1, 1, 1, 0]
    assert stream(2) == whole[2:]


@pytest.mark.parametrize("make", [evaluation_dataset, evaluation_sequence])
@pytest.mark.parametrize("cache", [False, True])
def test_damaged_images_are_left_out_of_a_measurement(make, cache):
    samples = SoundImages(Greys([0, 1] * 5, damaged={1, 6, 7}), Damage(3, "val"))
    batches = [
        (values(images), np.array(labels).tolist())
        for images, labels in make(samples, PLAIN, 4, cache=cache)
    ]
    assert batches == [([0, 2, 3, 4], [0, 0, 1, 0]), ([5, 8, 9], [1, 0, 1])]
    assert list(samples.damage.found) == [1, 6, 7]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_is_damaged_all_sound_images_are_measured_on_by_any_number_of_workers(data):
    count = data.draw(st.integers(2, 12))
    damaged = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    size, workers = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    samples = SoundImages(Greys([0] * count, damaged), Damage(count, "val"), workers=1)
    shares = [
        EvaluationBatches(samples, PLAIN, size, share=Share(index, workers))
        for index in range(workers)
    ]
    sound = [index for index in range(count) if index not in damaged]
    batches = [
        [number for share in shares for number in values(share(batch)[0])]
        for batch in range(len(shares[0]))
    ]
    assert batches == [sound[at : at + size] for at in range(0, len(sound), size)]


def test_keras_measures_on_what_is_sound_in_the_last_batch():
    samples = SoundImages(Greys([0, 1] * 2 + [1], damaged={4}), Damage(3, "val"))
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found = model.evaluate(evaluation_dataset(samples, PLAIN, 4), verbose=0)
    # Of a grey picture, all 48 logits are equal.
    assert found == pytest.approx(np.log(48))


def test_what_is_measured_on_is_known_before_and_damage_told_in_order(caplog):
    greys = Greys([0] * 9, damaged=range(1, 6))
    with pytest.raises(ImageError, match=r"^more than 4 damaged images in val: .*'1\.jpg'.*2 more"):
        SoundImages(greys, Damage(4, "val"))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        samples = SoundImages(greys, Damage(5, "val"))
    told = [record.message.split("'")[1] for record in caplog.records]
    assert told == [f"{number}.jpg" for number in range(1, 6)]
    assert numbers(samples) == [0, 6, 7, 8]


def test_once_too_many_are_damaged_the_rest_are_not_read():
    class Slow(Greys):
        def image(self, index):
            time.sleep(0.001)
            return super().image(index)

    greys = Slow([0] * 3000, damaged={0, 1})
    with pytest.raises(ImageError, match="more than 1 damaged images"):
        SoundImages(greys, Damage(1, "val"))
    assert len(greys.read) < 1000


def test_with_nothing_sound_there_is_nothing_to_measure_on():
    with pytest.raises(ImageError, match="all 2 images in val are damaged"):
        SoundImages(Greys([0, 0], damaged={0, 1}), Damage(2, "val"))


def test_a_cache_reads_what_is_damaged_once():
    greys = Greys([0, 0, 0], damaged={1})
    assert numbers(cache_images(ReplacedImages(greys, Damage(1, "train")), 8, workers=1)) == [
        0,
        2,
        2,
    ]
    assert sorted(greys.read) == [0, 1, 2, 2]
