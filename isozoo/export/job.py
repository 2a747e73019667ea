"""What the writer of a format is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np


@dataclass(frozen=True)
class Job:
    """One network to be written.

    Args:
        network: The Keras network in the format's layout, float32 unless the format computes in
            another dtype by itself.
        dtype: What it is to be written as.
        input_shape: Shape of one image, in the format's layout.
        batch_size: Images in a batch; any number if None.
        calibration: Batches of one preprocessed picture each, in the format's layout; for int8.
        metadata: What the file is to say of itself, where the format has a place for it.
    """

    network: keras.Model
    dtype: str
    input_shape: tuple[int, ...]
    batch_size: int | None
    calibration: Sequence[np.ndarray] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def signature(self) -> list[keras.InputSpec]:
        """The input as `keras.Model.export` wants it described."""
        return self._signature(self.batch_size)

    @property
    def calibrated_signature(self) -> list[keras.InputSpec]:
        """The same, of any number of images where single ones are calibrated on first."""
        return self._signature(None if self.calibration else self.batch_size)

    def _signature(self, batch_size: int | None) -> list[keras.InputSpec]:
        shape = (batch_size, *self.input_shape)
        return [keras.InputSpec(shape=shape, dtype="float32", name="images")]
