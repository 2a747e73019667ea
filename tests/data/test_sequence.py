import threading

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isozoo.data import (
    Augment,
    ImageFolder,
    InMemoryImages,
    Preprocessing,
    Share,
    evaluation_dataset,
    evaluation_sequence,
    training_dataset,
    training_sequence,
)
from isozoo.data.sequence import BatchSequence
from isozoo.data.streams import streams
from isozoo.errors import ImageError

PLAIN = Preprocessing(resize=18, size=16)
#: Every way in which a stream can be changed.
AUGMENTS = {
    "boxes": Augment(size=16),
    "mixup": Augment(size=16, crop_padding=2, mixup=0.4),
    "cutmix": Augment(size=16, cutmix=1.0),
    "all": Augment(size=16, mixup=0.4, cutmix=1.0, randaugment=2, erasing=0.5),
}
MAKERS = {"tf.data": training_dataset, "sequence": training_sequence}


@pytest.fixture(scope="module")
def pictures() -> InMemoryImages:
    """23 different pictures, each of its own class."""
    pixels = np.random.default_rng(0).integers(0, 256, (23, 20, 24, 3), np.uint8)
    return InMemoryImages(pixels, range(23), [str(number) for number in range(23)])


def batches(make, samples, *, augment, epochs=range(2), batch_size=5, **options):
    stream = make(
        samples,
        preprocessing=PLAIN,
        augment=augment,
        batch_size=batch_size,
        seed=3,
        epochs=epochs,
        **options,
    )
    return [(np.array(images), np.array(labels)) for images, labels in stream]


def assert_same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("augment", AUGMENTS.values(), ids=AUGMENTS)
def test_both_kinds_of_stream_are_the_same_to_the_bit(pictures, augment):
    one, other = (batches(make, pictures, augment=augment) for make in MAKERS.values())
    assert_same(one, other)
    resumed = batches(
        training_sequence, pictures, augment=augment, epochs=range(1, 2), start_step=3
    )
    assert_same(resumed, one[4 + 3 :])


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("augment", AUGMENTS.values(), ids=AUGMENTS)
def test_the_shares_of_a_batch_put_together_are_the_batch(pictures, augment, count, kind):
    make = MAKERS[kind]
    whole = batches(make, pictures, augment=augment, epochs=range(1))
    shares = [
        batches(make, pictures, augment=augment, epochs=range(1), share=Share(index, count))
        for index in range(count)
    ]
    joined = [
        tuple(np.concatenate(part) for part in zip(*parts, strict=True))
        for parts in zip(*shares, strict=True)
    ]
    assert_same(joined, whole)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows=st.integers(0, 200), count=st.integers(1, 20))
def test_shares_part_the_rows_in_order(rows, count):
    shares = [Share(index, count).rows(rows) for index in range(count)]
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("index", "count"), [(-1, 2), (2, 2), (0, 0)])
def test_a_share_that_is_not_one_is_refused(index, count):
    with pytest.raises(ValueError, match=f"share {index} is not one of {count}"):
        Share(index, count)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("share", [Share(), Share(1, 2)])
def test_both_kinds_of_evaluation_are_the_same_to_the_bit(pictures, cache, share):
    one, other = (
        [(np.array(x), np.array(y)) for x, y in make(pictures, PLAIN, 10, cache=cache, share=share)]
        for make in (evaluation_dataset, evaluation_sequence)
    )
    assert_same(one, other)
    labels = [labels.tolist() for _, labels in one]
    expected = [[*range(start, min(start + 10, 23))] for start in (0, 10, 20)]
    assert labels == [[batch[row] for row in share.rows(len(batch))] for batch in expected]


@pytest.mark.parametrize("kind", MAKERS)
def test_labels_of_cut_batches_are_the_areas(numbered, kind):
    augment = Augment(size=16, cutmix=1.0)
    halves = []
    for images, labels in batches(MAKERS[kind], numbered(20), augment=augment, batch_size=4):
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
        levels = (images[..., 0] * PLAIN.std[0] + PLAIN.mean[0]) * 255
        for image, label in zip(levels, labels, strict=True):
            for number in np.flatnonzero(label):
                area = (np.abs(image - number) < 0.5).mean()
                assert area == pytest.approx(label[number], abs=1e-6)
        halves.append(labels.max())
    assert len(set(halves)) > 5


def test_a_fit_reads_each_batch_once_over_all_epochs():
    made, lock = [], threading.Lock()

    def make(number: int):
        with lock:
            made.append(number)
        return np.full((2, 3), number, np.float32), np.zeros(2, np.int32)

    seen = []

    class Seen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(round(logs["mean"] * (batch + 1) - sum(seen[len(seen) - batch :])))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    mean = keras.metrics.MeanMetricWrapper(lambda y, x: keras.ops.mean(x, axis=-1), name="mean")
    model.layers[0].set_weights([np.full((3, 2), 1 / 3), np.zeros(2)])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=[mean])
    for epochs in (range(2), range(2, 3)):
        model.fit(
            BatchSequence(make, range(7 + 4 * epochs.start, 7 + 4 * epochs.stop), workers=3),
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            steps_per_epoch=4,
            shuffle=False,
            verbose=0,
            callbacks=[Seen()],
        )
    assert seen == list(range(7, 19))
    made.clear()
    stream = BatchSequence(make, range(7, 19), workers=3)
    assert [int(images[0, 0]) for images, _ in stream] == list(range(7, 19))
    assert sorted(made) == list(range(7, 19))


def test_a_sequence_is_read_in_any_order(pictures):
    stream = training_sequence(
        pictures,
        preprocessing=PLAIN,
        augment=AUGMENTS["boxes"],
        batch_size=5,
        seed=3,
        epochs=range(2),
    )
    forth = [stream[index] for index in range(8)]
    assert_same([stream[index] for index in reversed(range(8))], forth[::-1])
    for index in (-1, 8):
        with pytest.raises(IndexError, match=f"batch {index} of 8"):
            stream[index]


def test_a_damaged_picture_is_named_by_its_own_error(tree):
    root = tree([f"a/{number}.png" for number in range(4)])
    (root / "a/2.png").write_bytes(b"damaged")
    data = ImageFolder(root)
    with pytest.raises(ImageError, match=r"a/2\.png' as an image"):
        batches(training_sequence, data, augment=AUGMENTS["boxes"], batch_size=2)
    with pytest.raises(ImageError, match=r"a/2\.png' as an image"):
        list(evaluation_sequence(data, PLAIN, 4))


def test_the_backend_decides_the_kind_of_stream(monkeypatch):
    assert streams().training is training_dataset
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    assert streams()[:2] == (training_sequence, evaluation_sequence)
