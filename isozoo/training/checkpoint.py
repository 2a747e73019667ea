"""Checkpoints that are whole or absent, and restore a run exactly."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from isozoo.errors import IsozooError, WeightsError
from isozoo.files import atomic_directory, atomic_write, sha256_file

_LOG = logging.getLogger(__name__)
_WEIGHTS, _STATE, _MANIFEST = "model.weights.h5", "state.npz", "checkpoint.json"

FORMAT = 3
#: Settings of a recipe that change nothing; checkpoints that hold them are older.
NOTES = ("title", "dataset")


class CheckpointError(IsozooError, OSError):
    """A checkpoint could not be written; those before it are untouched."""


class Position(NamedTuple):
    """How far a run is.

    Args:
        epoch: Finished epochs.
        step: Finished steps of the epoch after them.
    """

    epoch: int
    step: int = 0

    @classmethod
    def of(cls, steps_done: int, steps: int) -> Position:
        """Return the position after a number of steps, of which an epoch has `steps`.

        Example:
            >>> Position.of(25, steps=10)
            Position(epoch=2, step=5)
        """
        return cls(*divmod(steps_done, steps))

    def steps_done(self, steps: int) -> int:
        """Return the steps done since the run began, of which an epoch has `steps`."""
        return self.epoch * steps + self.step

    def __str__(self) -> str:
        if self.step:
            return f"epoch {self.epoch + 1}, step {self.step}"
        return f"epoch {self.epoch}" if self.epoch else "the beginning"


def random_states(model: keras.Model) -> list[Any]:
    """Return the variables that a Keras weights file leaves out: of the random generators."""
    saved = {id(v) for v in [*model.weights, *model.metrics_variables]}
    return [v for v in model.variables if id(v) not in saved]


def dropout_states(model: keras.Model) -> list[Any]:
    """Return the random states but those of penalties."""
    of_penalties = {id(generator.state) for generator in getattr(model, "penalty_states", ())}
    return [state for state in random_states(model) if id(state) not in of_penalties]


def values_of(variables: Sequence[Any]) -> list[np.ndarray]:
    """Return copies of variables' values."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Give each variable its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class States(NamedTuple):
    """What a Keras weights file leaves out.

    Args:
        random: Values of the random generators' variables.
        metrics: Values of the metrics' variables, the running means of the epoch.
    """

    random: Sequence[np.ndarray]
    metrics: Sequence[np.ndarray]

    @classmethod
    def of(cls, model: keras.Model) -> States:
        """Return the states of a model now."""
        return cls(values_of(random_states(model)), values_of(model.metrics_variables))


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole.

    Args:
        folder: Where it lies.
        position: How far the run was.
        notes: What the callbacks of the run have to know to go on.
    """

    folder: Path
    position: Position
    notes: Mapping[str, Any]

    def load(self, model: keras.Model) -> list[np.ndarray]:
        """Give a compiled model with a built optimiser its weights and states.

        Returns:
            The values of the metrics' variables, which an epoch that goes on has to have.
        """
        model.load_weights(self.folder / _WEIGHTS)
        with np.load(self.folder / _STATE) as stored:
            found = {name: stored[name] for name in stored.files}
        assign(random_states(model), _numbered(found, "random"))
        return _numbered(found, "metrics")


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run, one folder for each position that was kept.

    Args:
        directory: Folder that holds `epoch-NNNN/` and `epoch-NNNN-step-NNNNNNNN/`.
        recipe: The recipe and data of the run; a checkpoint of another is refused.
        keep: Newest checkpoints to keep, at least 1.
    """

    directory: Path
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keep: int = 2

    def save(
        self,
        model: keras.Model,
        position: Position,
        notes: Mapping[str, Any],
        states: States | None = None,
    ) -> Path:
        """Write weights, optimiser, random states and metrics.

        Args:
            model: The model, compiled.
            position: How far the run is; later positions, of which nothing was whole, are removed.
            notes: What the run has to know to go on, as JSON takes it.
            states: The states at the position; those of now if None.

        Returns:
            The folder.

        Raises:
            CheckpointError: The disk is full or the place not writable; the checkpoints before
                are untouched.
        """
        target = self.directory / _folder_name(position)
        with self.writing(target), atomic_directory(target) as folder:
            self._write(folder, model, position, notes, states or States.of(model))
        folders = self.folders()
        last = folders.index(target) + 1
        for old in [*folders[: max(0, last - self.keep)], *folders[last:]]:
            _remove(old)
        return target

    @contextlib.contextmanager
    def writing(self, target: Path) -> Iterator[None]:
        """Say of what of the run could not be written in the block how to go on.

        Raises:
            CheckpointError: The disk is full or the place not writable.
        """
        try:
            yield
        # h5py reports a failed write as either.
        except (OSError, RuntimeError) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error)
            newest = self.folders()[-1:]
            kept = (
                f"the checkpoint {newest[0]} is untouched" if newest else "there is no checkpoint"
            )
            raise CheckpointError(
                f"cannot write {target} ({reason}); {kept}: make room and go on with --resume"
            ) from error

    def _write(
        self,
        folder: Path,
        model: keras.Model,
        position: Position,
        notes: Mapping[str, Any],
        states: States,
    ) -> None:
        model.save_weights(folder / _WEIGHTS)
        named = {
            f"{kind}_{number:04d}": value
            for kind, values in states._asdict().items()
            for number, value in enumerate(values)
        }
        np.savez(folder / _STATE, **named)
        manifest = {
            "format": FORMAT,
            "epoch": position.epoch,
            "step": position.step,
            "notes": notes,
            "recipe": self.recipe,
            "backend": keras.backend.backend(),
            "versions": {name: version(name) for name in ("isozoo", "keras", "numpy")},
            "files": {name: sha256_file(folder / name) for name in (_WEIGHTS, _STATE)},
        }
        atomic_write(folder / _MANIFEST, json.dumps(manifest, indent=1))

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None if there is none at all.

        Raises:
            WeightsError: Checkpoints exist but none is whole, they are another recipe's, or they
                are of a format that this isozoo does not read.
        """
        newest = next(self._whole(), None)
        folders = self.folders()
        if newest is None and folders:
            raise WeightsError(
                f"all {len(folders)} checkpoints in {self.directory} are damaged; remove the run's "
                f"folder {self.directory.parent} to start afresh, or give another --out"
            )
        return newest

    def pass_over(self, bad: Checkpoint) -> Checkpoint:
        """Remove a checkpoint for the newest one before it; it stays if there is none."""
        for checkpoint in self._whole():
            if checkpoint.position < bad.position:
                _remove(bad.folder)
                return checkpoint
        return bad

    def _whole(self) -> Iterator[Checkpoint]:
        """Yield the checkpoints that are whole, the newest first."""
        for folder in reversed(self.folders()):
            try:
                manifest = _read(folder)
            except (OSError, ValueError, KeyError) as error:
                _LOG.warning("checkpoint %s is damaged (%s); trying the one before", folder, error)
                continue
            self._check(folder, manifest)
            position = Position(manifest["epoch"], manifest["step"])
            yield Checkpoint(folder, position, manifest["notes"])

    def _check(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        written = manifest.get("format", 1)
        if written != FORMAT:
            raise WeightsError(
                f"the checkpoint {folder} has format {written}, this isozoo reads {FORMAT}; finish "
                f"the run with isozoo {manifest['versions']['isozoo']} or give another --out"
            )
        old, new = settings_that_count(manifest["recipe"]), settings_that_count(self.recipe)
        if old != new:
            changed = _differences(old, new)
            raise WeightsError(
                f"the checkpoint {folder} was made with another recipe or other data "
                f"({changed}); continue with the old ones, or give another --out"
            )

    def folders(self) -> list[Path]:
        """Return the folders of all checkpoints, oldest first."""
        found = [(path, _FOLDER.fullmatch(path.name)) for path in self.directory.glob("epoch-*")]
        numbered = [(int(m[1]), int(m[2] or 0), path) for path, m in found if m]
        return [path for _, _, path in sorted(numbered)]

    def remove_remains(self) -> None:
        """Remove what a process that was killed as it wrote left under temporary names."""
        for path in self.directory.glob(".epoch-*"):
            shutil.rmtree(path)


def _remove(folder: Path) -> None:
    # Renamed first: whoever is killed in between leaves no checkpoint that lacks files.
    hidden = folder.with_name(f".{folder.name}.removed")
    os.replace(folder, hidden)
    shutil.rmtree(hidden)


_FOLDER = re.compile(r"epoch-(\d+)(?:-step-(\d+))?")


def _folder_name(position: Position) -> str:
    step = f"-step-{position.step:08d}" if position.step else ""
    return f"epoch-{position.epoch:04d}{step}"


def _numbered(stored: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [stored[name] for name in sorted(stored) if name.startswith(f"{kind}_")]


#: What a manifest says, and as what.
_SAID = {"files": dict, "versions": dict, "recipe": dict, "notes": dict, "epoch": int, "step": int}


def _read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint folder whose files are those that it lists.

    Raises:
        OSError: A file is missing.
        ValueError: A file is not what it should be.
    """
    manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
    # Of an older format nothing more is known than that it was written by isozoo.
    said = _SAID if isinstance(manifest, dict) and "format" in manifest else {"files": dict}
    for key, kind in said.items():
        if not (isinstance(manifest, dict) and isinstance(manifest.get(key), kind)):
            raise ValueError(f"{_MANIFEST} does not say `{key}`")
    for name, expected in manifest["files"].items():
        if sha256_file(folder / name) != expected:
            raise ValueError(f"{name} does not have the hash it was written with")
    return manifest


def settings_that_count(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without notes, and those that are None: an older recipe did not know all."""
    return {
        key: settings_that_count(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None and key not in NOTES
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"{key}: {old.get(key)!r} then, {new.get(key)!r} now" for key in keys)
