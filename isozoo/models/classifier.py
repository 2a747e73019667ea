"""Backbone and head together, with what is needed to classify a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from isozoo.data.labels import distinct_labels
from isozoo.data.preprocessing import IMAGENET, Preprocessing
from isozoo.models.architecture import Architecture
from isozoo.models.backbone import Backbone, frozen_config, set_frozen
from isozoo.models.head import head as make_head
from isozoo.models.predictions import Prediction, as_list, classify_pictures

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

#: The preprocessing of the original networks, by stem.
PREPROCESSING = {
    "imagenet": IMAGENET,
    "cifar": Preprocessing(
        resize=32, size=32, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)
    ),
}
PREPROCESSING["vgg"] = PREPROCESSING["cifar"]


@keras.saving.register_keras_serializable(package="isozoo")
class Classifier(keras.Model):
    r"""An image classifier: backbone, global average pool, dropout, one dense layer or several.

    Args:
        architecture: The network's description, or its `to_dict()`.
        labels: One name per class, distinct, in the order of the logits; numbers if None.
        preprocessing: How a picture becomes an input; by default the architecture's usual one.
        input_shape: Shape of one image; height and width of any size if None.
        data_format: `"channels_last"` or `"channels_first"`; Keras's default if None.
        dtype: Dtype policy of the layers, such as `"float32"` or `"mixed_bfloat16"`; logits are in
            the policy's variable dtype.
        name: Name of the model.

    Call arguments:
        inputs: Preprocessed images `(batch, height, width, channels)`.

    Returns:
        Logits `(batch, classes)`.

    Raises:
        ValueError: The number of labels is not the number of classes, they are not distinct texts,
            or `input_shape` or `preprocessing` has other channels than the architecture.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020.

    Example:
        >>> from isozoo.models import architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2), labels=["cat", "dog"])
        >>> picture = np.zeros((40, 60, 3), "uint8")
        >>> sorted(prediction.label for prediction in model.classify(picture)[0])
        ['cat', 'dog']
    """

    def __init__(
        self,
        architecture: Architecture | Mapping[str, Any],
        labels: Sequence[str] | None = None,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        data_format: str | None = None,
        *,
        dtype: str | keras.DTypePolicy | dict | None = None,
        name: str | None = None,
        trainable: bool = True,
    ):
        if not isinstance(architecture, Architecture):
            architecture = Architecture.from_dict(architecture)
        if labels is None:
            labels = [str(index) for index in range(architecture.classes)]
        if len(labels) != architecture.classes:
            raise ValueError(
                f"{len(labels)} labels were given for {architecture.classes} classes; "
                "give one label per class"
            )
        labels = distinct_labels(labels)
        if preprocessing is None:
            preprocessing = PREPROCESSING[architecture.stem].with_channels(architecture.channels)
        elif not isinstance(preprocessing, Preprocessing):
            preprocessing = Preprocessing.from_dict(preprocessing)
        if preprocessing.channels != architecture.channels:
            raise ValueError(
                f"the preprocessing makes {preprocessing.channels} channels and the network takes "
                f"{architecture.channels}; use preprocessing.with_channels({architecture.channels})"
            )
        backbone = Backbone(architecture, input_shape, data_format, dtype=dtype)
        policy = backbone.dtype_policy
        head = make_head(architecture, backbone)
        inputs = keras.Input(tuple(backbone.input_shape[1:]), name="images")
        super().__init__(
            inputs=inputs,
            outputs=head(backbone(inputs)),
            name=name or "classifier",
            trainable=trainable,
        )
        self.dtype_policy = policy
        self.architecture = architecture
        self.labels = labels
        self.preprocessing = preprocessing
        self.backbone = backbone
        self.head = head
        #: Which variables were read from where, once weights were loaded.
        self.load_report: Any = None
        #: What the folder they were read from says of them.
        self.provenance: Any = None

    @property
    def data_format(self) -> str:
        """`"channels_last"` or `"channels_first"`."""
        return self.backbone.data_format

    def preprocess(self, images: Any) -> np.ndarray:
        """Turn pictures into one input batch.

        Args:
            images: One picture or a sequence of them, as for `classify`.

        Returns:
            A float32 array `(batch, height, width, channels)`, or channels first if the model is.

        Raises:
            ImageError: A picture cannot be read; the message names it.
            ValueError: The network's `input_shape` is fixed to another than preprocessing makes.
        """
        self._check_sides()
        batch = np.stack([self.preprocessing(image) for image in as_list(images)])
        return batch if self.data_format == "channels_last" else batch.transpose(0, 3, 1, 2)

    def classify(self, images: Any, top: int = 5, batch_size: int = 32) -> list[list[Prediction]]:
        """Name what is in pictures, preprocessing included.

        Args:
            images: One picture or a sequence of them: paths, file objects, PIL images or uint8
                arrays `(height, width, 3)`; an array `(batch, height, width, 3)` is a sequence.
                A network of one channel sees their luma; one of other than 1 or 3 channels takes
                arrays of its own number of channels only.
            top: Number of classes to return, from the most probable; at least 1.
            batch_size: Pictures computed at once, at least 1.

        Returns:
            For each picture, its `top` most probable classes as `Prediction(label, probability,
            index)`, probabilities in [0, 1].

        Raises:
            ImageError: A picture cannot be read; the message names it.
            ValueError: `top` or `batch_size` is below 1, or the network's `input_shape` is fixed to
                another than preprocessing makes.
        """

        def logits(pictures: list[Any]) -> np.ndarray:
            return ops.convert_to_numpy(self(self.preprocess(pictures), training=False))

        return classify_pictures(images, logits, self.labels, top, batch_size)

    def _check_sides(self) -> None:
        """Refuse to preprocess for a network that takes images of another shape only."""
        size, shape = self.preprocessing.size, self.backbone.input_shape[1:]
        sides = shape[:2] if self.data_format == "channels_last" else shape[1:]
        if any(side not in (None, size) for side in sides):
            fixed = "x".join(str(side or "any") for side in sides)
            raise ValueError(
                f"the network's input is fixed to {fixed}, preprocessing makes {size}x{size}; give "
                "isozoo.load a square input_shape, which preprocessing follows, or call the "
                "network on arrays of its shape"
            )

    def fuse(self) -> Classifier:
        """Return a classifier that answers the same and is cheaper to run, for use alone.

        Residual scales, batch normalisation and, in front of unpadded convolutions, the shifts of
        SReLU become part of kernels and biases, see `isozoo.models.fusing`.

        Returns:
            A new classifier of another `architecture`: its logits differ by rounding only, it is
            saved and loaded like any other, and it is not meant to be trained further.

        Raises:
            ValueError: The network normalises each image by its own statistics.
            WeightsError: A folded value is NaN or infinite.
        """
        from isozoo.models.fusing import fuse

        return fuse(self)

    def save_pretrained(self, directory: str | os.PathLike[str]) -> None:
        """Write the weights folder: weights, configuration, labels and preprocessing.

        Args:
            directory: Folder to write; one that exists is replaced when the new one is complete.

        Raises:
            WeightsError: A weight is NaN or infinite, or `directory` holds something that would be
                lost: other files, or a trained network's tag, metrics, recipe or log.
            OSError: The disk is full or the place is not writable; an old folder is untouched.
        """
        from isozoo.models.folder import write_folder

        write_folder(self, directory)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Classifier:
        """Load a weights folder or a Hub repository, checking every file and every variable.

        Args:
            source: Folder written by `save_pretrained`, or repository `owner/name` that
                `push_to_hub` made. A folder that exists goes before a repository of its name.
            revision: Branch, tag or commit of the repository; `main` if None.
            cache_dir: Where fetched files are kept; huggingface_hub's cache if None.
            token: Access token of the Hub; the saved one if None, none at all if False.
            local_files_only: Whether to take the repository's files from the cache only.

        Returns:
            The classifier, in inference-ready state. Its `load_report` says where it is from, and
            that nothing but the folder itself vouches for it.

        Raises:
            WeightsError: There is no such folder or repository, it is not to be had, or a file is
                missing, damaged or made for another network.
        """
        from isozoo.models.folder import load_folder
        from isozoo.models.repository import find_folder

        folder, pins = find_folder(
            source,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        return load_folder(folder, pins=pins)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        commit_message: str = "Weights written by isozoo",
        revision: str | None = None,
        create_pr: bool = False,
    ) -> CommitInfo:
        """Write the weights folder to a repository of the Hugging Face Hub, as one commit.

        Args:
            repository: Name of the repository, `owner/name`, made if needed.
            private: Whether a new repository is private; the owner's default if None.
            token: Access token with the right to write; the saved one if None.
            commit_message: First line of the commit's message.
            revision: Branch, made if needed; `main` if None.
            create_pr: Whether to open a pull request instead.

        Returns:
            huggingface_hub's account of the commit; `oid` is what to pin, `commit_url` its page.

        Raises:
            WeightsError: A weight is NaN or infinite; or the Hub cannot be reached, refuses, or
                does not have what was sent.
        """
        from isozoo.models.repository import push_network

        return push_network(
            self,
            repository,
            private=private,
            token=token,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, and the names of the frozen layers if there are any."""
        encoder = self.backbone.get_config()
        encoder.pop("frozen", None)
        return {
            **encoder,
            "name": self.name,
            "trainable": self.trainable,
            "labels": list(self.labels),
            "preprocessing": self.preprocessing.to_dict(),
            **frozen_config(self, self._parts()),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Classifier:
        """Build the model from `get_config`'s result."""
        arguments = dict(config)
        frozen = arguments.pop("frozen", None)
        model = cls(**arguments)
        set_frozen(model._parts(), frozen)
        return model

    def _parts(self) -> list[keras.layers.Layer]:
        """Return backbone and head before their layers, which freezing them freezes too."""
        return [self.backbone, self.head, *self.backbone.layers, *self.head.layers]
