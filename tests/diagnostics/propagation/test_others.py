"""Networks that are not ours."""

import keras
import numpy as np
import pytest

from isozoo.diagnostics.propagation import model_propagation


@pytest.mark.slow
def test_resnet50_of_keras():
    model = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=4)
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
    found = model_propagation(model, images, repeats=1, training=True)
    assert len(found.names) == 49
    assert np.isfinite(found.curve("log_chi").mean).all()


@pytest.mark.kerashub
def test_a_backbone_of_kerashub():
    keras_hub = pytest.importorskip("keras_hub", reason="needs the extra `detection`")

    model = keras_hub.models.ResNetBackbone(
        input_conv_filters=[8], input_conv_kernel_sizes=[3], stackwise_num_filters=[8, 16],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
        image_shape=(16, 16, 3),
    )  # fmt: skip
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 3))
    found = model_propagation(model, images, repeats=1, training=True)
    assert found.names
    assert np.isfinite(found.curve("log_chi").mean).all()
