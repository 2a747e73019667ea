import keras
import numpy as np

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


def test_hits_accept_both_kinds_of_labels():
    logits = np.array([[0.0, 1.0], [2.0, 1.0]], "float32")
    for labels in (np.array([1, 1]), np.array([[0.3, 0.7], [0.4, 0.6]], "float32")):
        labels = keras.ops.convert_to_tensor(labels)
        assert keras.ops.convert_to_numpy(hits(labels, logits)).tolist() == [1.0, 0.0]


def test_survives_serialisation():
    again = keras.losses.deserialize(keras.losses.serialize(CrossEntropy(0.2)))
    assert again.label_smoothing == 0.2
