"""The feature pyramid: what a backbone sees at several scales, in as many channels at each."""

from __future__ import annotations

import keras

from isozoo.models.backbone import Backbone

LEVELS = ("P2", "P3", "P4", "P5")


def feature_pyramid(backbone: Backbone, channels: int = 256) -> keras.Model:
    r"""Return a network from images to the maps of a feature pyramid.

    With the last map $C_l$ of each stage of the backbone, $M_5 = L_5 C_5$ and
    $M_l = L_l C_l + U M_{l+1}$ with 1x1 convolutions $L_l$ and $U$ that doubles each position;
    $P_l$ is a 3x3 convolution of $M_l$, and $P_6$ every second position of $P_5$.

    Args:
        backbone: With stages of strides 4 to 32, channels last. It stays the same object: freezing
            it or its penalty is as before.
        channels: Channels of every map.

    Returns:
        A functional model of images `(batch, height, width, channels)`, sides multiples of 32, with
        outputs `{"P2": ..., "P6": ...}`, `"Pl"` of stride `2**l`.

    Raises:
        ValueError: The backbone lacks a stage or is channels first.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017.

    Example:
        >>> from isozoo.models import architecture
        >>> pyramid = feature_pyramid(Backbone(architecture("r-isonet-18-w32")), channels=16)
        >>> sorted(pyramid.output), pyramid.output["P2"].shape[-1]
        (['P2', 'P3', 'P4', 'P5', 'P6'], 16)
    """
    stages = backbone.pyramid_outputs
    lacking = [level for level in LEVELS if level not in stages]
    if lacking or backbone.data_format != "channels_last":
        raise ValueError(
            "a feature pyramid needs a channels-last backbone with stages of strides 4, 8, 16 and "
            f"32, found {', '.join(stages)} in {backbone.data_format}; take one of the ImageNet "
            "depths, such as r-isonet-18"
        )

    policy = backbone.dtype_policy

    def convolution(side: int, name: str) -> keras.layers.Conv2D:
        # Detectron2's c2_xavier_fill: uniform with variance 1 / fan_in.
        return keras.layers.Conv2D(
            channels, side, padding="same", kernel_initializer="lecun_uniform",
            dtype=policy, name=name,
        )  # fmt: skip

    outputs, above = {}, None
    for level in reversed(LEVELS):
        merged = convolution(1, f"lateral_{level}")(stages[level])
        if above is not None:
            doubled = keras.layers.UpSampling2D(2, dtype=policy, name=f"doubled_{level}")(above)
            merged = keras.layers.Add(dtype=policy, name=f"merged_{level}")([merged, doubled])
        above = merged
        outputs[level] = convolution(3, f"output_{level}")(merged)
    every_second = keras.layers.MaxPooling2D(1, 2, dtype=policy, name="output_P6")
    outputs["P6"] = every_second(outputs["P5"])
    return keras.Model(backbone.input, outputs, name="pyramid")
