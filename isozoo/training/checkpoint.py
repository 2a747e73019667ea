"""Checkpoints that are whole or absent, and restore a run exactly."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from isozoo.errors import WeightsError
from isozoo.files import atomic_directory, atomic_write, sha256_file

_LOG = logging.getLogger(__name__)
_WEIGHTS, _STATE, _MANIFEST = "model.weights.h5", "state.npz", "checkpoint.json"


def _unsaved_variables(model: keras.Model) -> list[Any]:
    """Return what a Keras weights file leaves out: the states of the random generators."""
    saved = {id(v) for v in [*model.weights, *model.metrics_variables]}
    return [v for v in model.variables if id(v) not in saved]


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run, one folder for each finished epoch that was kept.

    Args:
        directory: Folder that holds `epoch-NNNN/`.
        keep: Newest checkpoints to keep, at least 1.
    """

    directory: Path
    keep: int = 2

    def save(self, model: keras.Model, epoch: int, recipe: dict[str, Any]) -> Path:
        """Write weights, optimiser and random states after `epoch` finished epochs.

        Raises:
            OSError: The disk is full; earlier checkpoints are untouched.
        """
        target = self.directory / f"epoch-{epoch:04d}"
        with atomic_directory(target) as folder:
            model.save_weights(folder / _WEIGHTS)
            states = [keras.ops.convert_to_numpy(v) for v in _unsaved_variables(model)]
            np.savez(folder / _STATE, *states)
            manifest = {
                "epoch": epoch,
                "recipe": recipe,
                "backend": keras.backend.backend(),
                "versions": {name: version(name) for name in ("isozoo", "keras", "numpy")},
                "files": {name: sha256_file(folder / name) for name in (_WEIGHTS, _STATE)},
            }
            atomic_write(folder / _MANIFEST, json.dumps(manifest, indent=1))
        for old in self.folders()[: -self.keep]:
            shutil.rmtree(old)
        return target

    def restore(self, model: keras.Model, recipe: dict[str, Any]) -> int:
        """Load the newest checkpoint that is whole into a compiled model.

        Args:
            model: The model, compiled, with a built optimiser.
            recipe: The recipe and data of this run; a checkpoint of another is refused.

        Returns:
            The number of finished epochs, 0 if there is no checkpoint.

        Raises:
            WeightsError: Checkpoints exist but none is whole, or they are another recipe's.
        """
        folders = self.folders()
        for folder in reversed(folders):
            fault = self._fault(folder)
            if fault:
                _LOG.warning("checkpoint %s is damaged (%s); trying the one before", folder, fault)
                continue
            manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
            if manifest["recipe"] != recipe:
                changed = _differences(manifest["recipe"], recipe)
                raise WeightsError(
                    f"the checkpoint {folder} was made with another recipe or other data "
                    f"({changed}); continue with the old ones, or give another --out"
                )
            model.load_weights(folder / _WEIGHTS)
            with np.load(folder / _STATE) as states:
                for variable, name in zip(_unsaved_variables(model), states.files, strict=True):
                    variable.assign(states[name])
            return manifest["epoch"]
        if folders:
            raise WeightsError(
                f"all {len(folders)} checkpoints in {self.directory} are damaged; "
                "remove the folder to start afresh"
            )
        return 0

    def folders(self) -> list[Path]:
        """Return the folders of all checkpoints, oldest first."""
        return sorted(self.directory.glob("epoch-*"))

    @staticmethod
    def _fault(folder: Path) -> str:
        """Return what is wrong with a checkpoint folder, or an empty string."""
        try:
            manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
            for name, expected in manifest["files"].items():
                if sha256_file(folder / name) != expected:
                    return f"{name} does not have the hash it was written with"
        except (OSError, ValueError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return ""


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"{key}: {old.get(key)!r} then, {new.get(key)!r} now" for key in keys)
