"""Cross-entropy and accuracy for labels that are class numbers or mixtures of classes."""

from __future__ import annotations

import keras
from keras import ops


def as_probabilities(labels, classes: int):
    """Return class probabilities `(batch, classes)` from class numbers `(batch,)` or themselves."""
    if len(labels.shape) == 2:
        return labels
    return ops.one_hot(ops.cast(labels, "int32"), classes)


@keras.saving.register_keras_serializable(package="isozoo")
class CrossEntropy(keras.losses.Loss):
    r"""Cross-entropy of logits against class numbers or, after mixup, class probabilities.

    $$L = -\sum_c \big((1 - \epsilon)\,p_c + \epsilon / C\big) \log \operatorname{softmax}(z)_c$$

    Keras's own smoothed loss takes probabilities only, its sparse loss does not smooth.

    Args:
        label_smoothing: $\epsilon$ in [0, 1).
        name: Name of the loss.

    Call arguments:
        y_true: Class numbers `(batch,)` or probabilities `(batch, classes)`.
        y_pred: Logits `(batch, classes)`.

    Returns:
        The mean over the batch.

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

    Example:
        >>> import numpy as np
        >>> loss = CrossEntropy()
        >>> round(float(loss(np.array([0]), np.zeros((1, 2)))), 4)
        0.6931
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy"):
        super().__init__(name=name)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each sample."""
        return keras.losses.categorical_crossentropy(
            as_probabilities(y_true, y_pred.shape[-1]),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {"label_smoothing": self.label_smoothing, "name": self.name}


@keras.saving.register_keras_serializable(package="isozoo")
def hits(y_true, y_pred):
    """Return 1 where the largest logit is at the label, or at a mixture's largest share."""
    if len(y_true.shape) == 2:
        y_true = ops.argmax(y_true, axis=-1)
    return ops.cast(ops.equal(ops.cast(y_true, "int32"), ops.argmax(y_pred, axis=-1)), "float32")


@keras.saving.register_keras_serializable(package="isozoo")
def plain_cross_entropy(y_true, y_pred):
    """Return each sample's cross-entropy without smoothing."""
    return CrossEntropy().call(y_true, y_pred)


def training_metrics() -> list[keras.metrics.Metric]:
    """Return the metrics that every run logs: `accuracy` and `cross_entropy`."""
    return [
        keras.metrics.MeanMetricWrapper(hits, name="accuracy"),
        keras.metrics.MeanMetricWrapper(plain_cross_entropy, name="cross_entropy"),
    ]
