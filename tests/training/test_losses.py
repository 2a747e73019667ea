import keras
import numpy as np

from isozoo.data import IMAGENET, Augment, InMemoryImages, training_sequence
from isozoo.training.losses import CrossEntropy, hits


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def test_numbers_and_probabilities_give_the_formula():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 4)).astype("float32"), np.array([0, 1, 2, 3, 0])
    target = 0.9 * np.eye(4)[labels] + 0.1 / 4
    expected = -(target * log_softmax(logits.astype("float64"))).sum(axis=1).mean()
    loss = CrossEntropy(label_smoothing=0.1)
    for given in (labels, np.eye(4, dtype="float32")[labels]):
        np.testing.assert_allclose(float(loss(given, logits)), expected, rtol=1e-6)


def test_smoothing_goes_over_labels_that_are_mixed():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 3), np.uint8)
    stream = training_sequence(
        InMemoryImages(pixels, range(8), "abcdefgh"),
        preprocessing=IMAGENET,
        augment=Augment(size=8, mixup=1.0, cutmix=1.0),
        batch_size=4,
        seed=0,
        epochs=range(3),
    )
    logits = np.random.default_rng(1).normal(size=(4, 8)).astype("float32")
    for _, mixed in stream:
        target = 0.9 * mixed.astype("float64") + 0.1 / 8
        np.testing.assert_allclose(target.sum(axis=1), 1, rtol=1e-6)
        expected = -(target * log_softmax(logits.astype("float64"))).sum(axis=1).mean()
        found = CrossEntropy(label_smoothing=0.1)(mixed, logits)
        np.testing.assert_allclose(float(found), expected, rtol=1e-6)


def test_hits_accept_both_kinds_of_labels():
    logits = np.array([[0.0, 1.0], [2.0, 1.0]], "float32")
    for labels in (np.array([1, 1]), np.array([[0.3, 0.7], [0.4, 0.6]], "float32")):
        labels = keras.ops.convert_to_tensor(labels)
        assert keras.ops.convert_to_numpy(hits(labels, logits)).tolist() == [1.0, 0.0]


def test_survives_serialisation():
    again = keras.losses.deserialize(keras.losses.serialize(CrossEntropy(0.2)))
    assert again.label_smoothing == 0.2
