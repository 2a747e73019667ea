from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from isozoo.data import (
    IMAGENET,
    Augment,
    ImageFolder,
    InMemoryImages,
    Preprocessing,
    evaluation_dataset,
    steps_per_epoch,
    training_dataset,
)
from isozoo.data.pipeline import reading_errors
from isozoo.errors import DataError, ImageError

PLAIN = Preprocessing(resize=None, size=16, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture
def pictures(noise) -> InMemoryImages:
    """23 different pictures, each of its own class."""
    return InMemoryImages(noise(23, 20, 24, 3), range(23), [str(number) for number in range(23)])


def stream(samples, *, augment=None, epochs=range(1), batch_size=4, seed=3, **options):
    """A training stream's batches as arrays."""
    dataset = training_dataset(
        samples,
        preprocessing=PLAIN,
        augment=augment or Augment(size=16),
        batch_size=batch_size,
        seed=seed,
        epochs=epochs,
        **options,
    )
    return [(images.numpy(), labels.numpy()) for images, labels in dataset]


def assert_same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def by_label(batches):
    return {
        label: image
        for images, labels in batches
        for image, label in zip(images, labels.tolist(), strict=True)
    }


def test_shapes_and_length_are_static(pictures):
    dataset = training_dataset(
        pictures,
        preprocessing=PLAIN,
        augment=Augment(size=16),
        batch_size=4,
        seed=0,
        epochs=range(2, 5),
        start_step=1,
    )
    assert dataset.element_spec == (
        tf.TensorSpec((4, 16, 16, 3), tf.float32),
        tf.TensorSpec((4,), tf.int32),
    )
    assert len(dataset) == 3 * 5 - 1
    assert len(stream(pictures, epochs=range(2, 5), start_step=1)) == 3 * 5 - 1


def test_the_same_arguments_give_the_same_stream(pictures):
    augment = Augment(size=16, mixup=0.4)
    first = stream(pictures, epochs=range(2), augment=augment, workers=1)
    assert_same(first, stream(pictures, epochs=range(2), augment=augment, workers=3))


@pytest.mark.parametrize("mixup", [0.0, 0.4])
@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_resumed_stream_continues_exactly(pictures, mixup, step):
    augment = Augment(size=16, mixup=mixup)
    whole = stream(pictures, epochs=range(3), augment=augment)
    rest = stream(pictures, epochs=range(1, 3), start_step=step, augment=augment)
    assert_same(whole[5 + step :], rest)


def test_each_epoch_visits_samples_once_in_its_own_order(pictures):
    batches = stream(pictures, epochs=range(2))
    orders = [np.concatenate([labels for _, labels in batches[i : i + 5]]) for i in (0, 5)]
    for order in orders:
        assert len(set(order.tolist())) == 20
    assert not np.array_equal(orders[0], orders[1])
    other = np.concatenate([labels for _, labels in stream(pictures, seed=4)])
    assert not np.array_equal(orders[0], other)


def test_a_view_depends_on_seed_epoch_and_sample_only(pictures):
    one, two = (by_label(stream(pictures, batch_size=size, epochs=range(1, 2))) for size in (1, 6))
    assert len(two) == 18
    for label, image in two.items():
        np.testing.assert_array_equal(image, one[label])
    elsewhere = by_label(stream(pictures, batch_size=1, epochs=range(2, 3)))
    reseeded = by_label(stream(pictures, batch_size=1, epochs=range(1, 2), seed=4))
    for changed in (elsewhere, reseeded):
        assert all((changed[label] != image).any() for label, image in one.items())


def test_images_and_labels_stay_together(numbered):
    for images, labels in stream(numbered(40), epochs=range(2)):
        expected = np.broadcast_to(labels[:, None, None, None] / 255, images.shape)
        np.testing.assert_allclose(images, expected, atol=1e-6)


def test_images_are_normalised(numbered):
    dataset = training_dataset(
        numbered(8),
        preprocessing=IMAGENET,
        augment=Augment(size=8),
        batch_size=8,
        seed=0,
        epochs=range(1),
    )
    images, labels = next(iter(dataset))
    expected = (labels.numpy()[:, None] / 255 - IMAGENET.mean) / IMAGENET.std
    np.testing.assert_allclose(images[:, 4, 4], expected, rtol=1e-5)


@pytest.mark.parametrize(("mixup", "labels"), [(0.0, (8,)), (0.4, (8, 40))])
def test_shapes_are_known_before_the_first_batch(numbered, mixup, labels):
    dataset = training_dataset(
        numbered(40),
        preprocessing=IMAGENET,
        augment=Augment(size=16, mixup=mixup),
        batch_size=8,
        seed=0,
        epochs=range(1),
    )
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(8, 16, 16, 3), labels]


def test_mixup_mixes_images_and_labels_with_one_weight_per_batch(numbered):
    weights = []
    for images, labels in stream(
        numbered(40), epochs=range(3), augment=Augment(size=16, mixup=1.0)
    ):
        assert labels.shape == (4, 40)
        assert labels.dtype == np.float32
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
        # Image i is grey of level i, so a mixed picture's level is its labels' mean.
        levels = labels @ np.arange(40)
        expected = np.broadcast_to(levels[:, None, None, None] / 255, images.shape)
        np.testing.assert_allclose(images, expected, atol=1e-6)
        larger = labels.max(axis=1)
        np.testing.assert_allclose(larger, larger[0], rtol=1e-6)
        assert (labels > 0).sum(axis=1).tolist() == [2, 2, 2, 2]
        weights.append(float(larger[0]))
    assert len(set(weights)) == len(weights)


def test_the_frame_of_a_crop_is_black_before_the_normalisation():
    white = InMemoryImages(np.full((40, 8, 8, 3), 255, np.uint8), [0] * 40, ["white"])
    dataset = training_dataset(
        white,
        preprocessing=IMAGENET,
        augment=Augment(size=8, crop_padding=4),
        batch_size=40,
        seed=0,
        epochs=range(1),
    )
    images, _ = next(iter(dataset))
    found = np.unique(images.numpy().reshape(-1, 3).round(4), axis=0)
    black, bright = -np.array(IMAGENET.mean), 1 - np.array(IMAGENET.mean)
    np.testing.assert_allclose(found, np.array([black, bright]) / IMAGENET.std, atol=1e-3)


def test_the_cache_changes_nothing_for_small_images(pictures):
    assert_same(stream(pictures, cache=20), stream(pictures))


def test_the_cache_changes_large_images_a_little(photograph):
    images = np.stack([photograph(80, 96)] * 4)
    data = InMemoryImages(images, [0] * 4, ["a"])
    (kept, _), (whole, _) = stream(data, cache=40)[0], stream(data)[0]
    assert kept.shape == whole.shape
    assert 0 < np.abs(kept - whole).mean() < 0.1


def test_a_damaged_picture_in_a_folder_is_named(tree):
    root = tree([f"a/{number}.png" for number in range(4)])
    (root / "a/2.png").write_bytes(b"damaged")
    data = ImageFolder(root)
    with pytest.raises(ImageError, match=r"a/2\.png' as an image"):
        stream(data, cache=16)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a/2\.png' as an image"):
        stream(data)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a/2\.png' as an image"):
        list(evaluation_dataset(data, PLAIN, 4))


def test_reading_errors_gives_the_pictures_own_error(tree):
    root = tree([f"a/{number}.png" for number in range(4)])
    data = ImageFolder(root)
    (root / "a/2.png").write_bytes(b"damaged")
    for make in (lambda: stream(data), lambda: evaluation_dataset(data, PLAIN, 4).cache()):
        with pytest.raises(ImageError, match=r"a/2\.png' as an image"), reading_errors():
            list(make())
    (root / "a/2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"a/2\.png"), reading_errors():
        list(evaluation_dataset(data, PLAIN, 4))


def test_reading_errors_leaves_other_errors_alone():
    with pytest.raises(tf.errors.InvalidArgumentError), reading_errors():
        tf.reshape(tf.zeros(3), (2, 2))


def test_the_number_of_workers_is_also_that_of_filling_the_cache(pictures, monkeypatch):
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, threads):
            asked.append(threads)
            super().__init__(threads)

    monkeypatch.setattr("isozoo.data.samples.ThreadPoolExecutor", Pool)
    evaluation_dataset(pictures, Preprocessing(size=16), 10, cache=True, workers=3)
    stream(pictures, epochs=range(1), cache=16, workers=2)
    assert asked == [3, 2]


def test_evaluation_is_the_preprocessing_of_every_sample_in_order(pictures):
    chosen = Preprocessing(resize=18, size=16)
    dataset = evaluation_dataset(pictures, chosen, 10, workers=2)
    assert len(dataset) == 3
    assert dataset.element_spec[0].shape.as_list() == [None, 16, 16, 3]
    batches = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    assert [len(labels) for _, labels in batches] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), range(23))
    expected = np.stack([chosen(pictures.image(index)) for index in range(23)])
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("resize", "size"), [(18, 16), (None, 30), (30, 28), (20, 20)])
def test_cached_evaluation_is_the_same_to_the_bit(pictures, channels, resize, size):
    chosen = Preprocessing(resize=resize, size=size).with_channels(channels)
    plain, cached = (
        [[part.numpy() for part in batch] for batch in dataset]
        for dataset in (
            evaluation_dataset(pictures, chosen, 10),
            evaluation_dataset(pictures, chosen, 10, cache=True),
        )
    )
    assert_same(cached, plain)
    assert plain[0][0].shape == (10, size, size, channels)
    assert plain[0][0].dtype == np.float32
    np.testing.assert_array_equal(plain[2][0][2], chosen(pictures.image(22)))


def test_a_cached_evaluation_decodes_once(tree):
    root = tree([f"{name}/{number}.png" for name in "ab" for number in range(3)])
    data = ImageFolder(root)
    dataset = evaluation_dataset(data, PLAIN, 4, cache=True)
    first = [images.numpy() for images, _ in dataset]
    for path in root.glob("*/*.png"):
        path.unlink()
    for images, expected in zip(dataset, first, strict=True):
        np.testing.assert_array_equal(images[0], expected)


def test_a_damaged_picture_is_named_as_the_cache_is_made(tree):
    root = tree(["a/0.png", "a/1.png"])
    (root / "a/1.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match=r"a/1\.png' as an image"):
        evaluation_dataset(ImageFolder(root), PLAIN, 2, cache=True)


def test_training_streams_are_in_colour(pictures):
    with pytest.raises(ValueError, match="the preprocessing is for 1 channels; train on arrays"):
        training_dataset(
            pictures,
            preprocessing=PLAIN.with_channels(1),
            augment=Augment(size=16),
            batch_size=4,
            seed=0,
            epochs=range(1),
        )


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 23), (4, 5), (23, 1)])
def test_incomplete_batches_are_not_steps(pictures, batch_size, steps):
    assert steps_per_epoch(pictures, batch_size) == steps


def test_fewer_samples_than_a_batch(pictures):
    with pytest.raises(DataError, match="23 samples do not fill one batch of 24"):
        stream(pictures, batch_size=24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"seed": -1}, "seed must not be negative"),
        ({"epochs": range(0)}, "epochs must be a rising range"),
        ({"epochs": range(-1, 2)}, "epochs must be a rising range"),
        ({"epochs": range(0, 4, 2)}, "epochs must be a rising range"),
        ({"start_step": 6}, "start_step must be from 0 to 5, not 6"),
        ({"start_step": -1}, "start_step must be from 0 to 5, not -1"),
    ],
)
def test_impossible_ranges_are_refused(pictures, options, message):
    with pytest.raises(ValueError, match=message):
        stream(pictures, **options)


def test_evaluation_needs_a_batch_size(pictures):
    with pytest.raises(ValueError, match="batch_size must be positive"):
        evaluation_dataset(pictures, PLAIN, 0)


def test_the_room_is_imported_without_tensorflow_or_keras(python):
    done = python(
        "-c",
        "import sys, isozoo.data as d; d.IMAGENET, d.ImageFolder, d.Augment; "
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])",
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)


def test_an_unknown_name_in_the_room():
    import isozoo.data

    with pytest.raises(AttributeError, match=r"module 'isozoo\.data' has no attribute 'nothing'"):
        _ = isozoo.data.nothing
