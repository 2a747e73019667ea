"""What may be chosen of a run that its recipe does not say."""

from __future__ import annotations

import dataclasses
import importlib.util

from isozoo.errors import MissingExtraError


@dataclasses.dataclass(frozen=True)
class Options:
    """What a caller may choose that changes nothing about the trained weights.

    Args:
        checkpoint_minutes: Minutes between checkpoints within an epoch; None for none.
        csv: Whether to write the log as a table too.
        tensorboard: Whether to write event files for TensorBoard.

    Raises:
        MissingExtraError: TensorBoard is not installed.
        ValueError: `checkpoint_minutes` is not positive.
    """

    checkpoint_minutes: float | None = 10.0
    csv: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse before any training what would fail in the midst of it."""
        if self.checkpoint_minutes is not None and not self.checkpoint_minutes > 0:
            raise ValueError(
                f"checkpoint_minutes must be more than 0, got {self.checkpoint_minutes}"
            )
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise MissingExtraError(
                "event files need tensorboard: python -m pip install 'isozoo[train]'"
            )
